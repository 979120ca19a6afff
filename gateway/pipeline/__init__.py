"""What becomes of a message, in the order in which it happens.

1. `receive`: verify the sender, store the raw message durably (`commit`), only then accept.
2. `translate`: the adapter turns the stored message into events.
3. `assemble`: tell commands from reports.
4. `enrich`: clean text, E.164 phones, class and category, each with its reason.
5. `route`: the responsible agency; what nobody claims goes to the national desk.
   `compose` is 3 to 5 on one message. `intake` runs 2 to 5 on a claimed batch and writes all results in one
   transaction: `join` waits for the parts of long messages, `effects` and `casework` say what is written.
   `gather` does the same for messages whose missing parts did not come in time.
6. `deliver`: to the central store, which gives the ticket; `handover` is the short way there.
7. `acknowledge`: the ticket, to the citizen, on the channel they used.

`settle` is the one rule for what failed. `replay` sends stored messages through 2 to 5 again. Stages 2 to 5 are pure.
"""
