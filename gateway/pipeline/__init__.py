"""Process each message in stages, in this order.

1. `receive`: verify the sender, store the raw message durably (`commit`), and only then accept it.
2. `interpret/translate`: the adapter turns the stored message into events.
3. `interpret/commands`: distinguish commands from reports.
4. `interpret/enrich`: clean text, E.164 phones, class and category, each with its reason.
5. `interpret/route`: the responsible agency, or the national desk if no rule matches.
   `compose` does 3 to 5 for one message. `intake` does 2 to 5 for a claimed batch and writes all results in one
   transaction: `join` puts the parts of long messages together, `effects` and `casework` write cases and replies.
   `gather` does the same for messages whose missing parts did not come in time.
6. `deliver`: send the complaint to the central store, which gives the ticket. `handover` passes new cases to it without
   a second query.
7. `acknowledge`: send the ticket to the citizen, on the channel that the citizen used.

`settle` decides between retry and dead letter, for every stage. `replay` sends stored messages through 2 to 5 again.
The modules of `interpret` (2 to 5) are pure: no clock, network, database or randomness.
"""
