"""What becomes of a message, in the order in which it happens.

1. `receive`: verify the sender, store the raw message durably, only then accept.
2. `translate`: the adapter turns the stored message into events.
3. `assemble`: tell commands from reports.
4. `enrich`: clean text, E.164 phones, class and category, each with its reason.
5. `route`: the responsible agency; what nobody claims goes to the national desk.
   `intake` runs 2 to 5 on a claimed batch and writes all results in one transaction.
6. `deliver`: to the central store, which gives the ticket.
7. `acknowledge`: the ticket, to the citizen, on the channel they used.

`replay` sends stored messages through 2 to 5 again. Stages 2 to 5 are pure.
"""
