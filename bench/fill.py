"""Fill the tables with finished messages, as after months of use."""

from __future__ import annotations

import psycopg

_FILL = """
CREATE TEMPORARY TABLE numbered AS
  SELECT n, uuidv7(make_interval(secs => (n - %(count)s) * 0.5)) AS id FROM generate_series(1, %(count)s) AS n;

INSERT INTO inbox (id, region, channel, dedupe_key, lane, content_type, payload, received_at, state, attempts, finished_at)
  SELECT id, '00', 'sms', gen_random_uuid(), gen_random_uuid(), 'message/http',
         %(key)s::bytea || decode(repeat(md5(n::text), 53), 'hex'), now() - interval '1 day', 'done', 1, now() - interval '1 day' FROM numbered;

INSERT INTO cases (id, region, channel, external_key, sender_key, correlation_id, complaint, contact, opened_at)
  SELECT id, '00', 'sms', gen_random_uuid(), gen_random_uuid(), id,
         %(key)s::bytea || decode(repeat(md5(n::text), 55), 'hex'), %(key)s::bytea || decode(repeat(md5(n::text), 3), 'hex'), now() - interval '1 day' FROM numbered;

INSERT INTO ticket (case_id, number) SELECT id, (10000000 + n)::text FROM numbered;

INSERT INTO outbox (id, kind, region, channel, lane, case_id, correlation_id, created_at, state, attempts, finished_at)
  SELECT id, 'deliver', '00', 'sms', id, id, id, now() - interval '1 day', 'done', 1, now() - interval '1 day' FROM numbered;

INSERT INTO outbox (id, kind, region, channel, lane, case_id, correlation_id, payload, created_at, state, attempts,
                    finished_at)
  SELECT uuidv7(make_interval(secs => (n - %(count)s) * 0.5)), 'reply', '00', 'sms', gen_random_uuid(), id, id,
         %(key)s::bytea || decode(repeat(md5(n::text), 12), 'hex'), now() - interval '1 day', 'done', 1, now() - interval '1 day' FROM numbered;

INSERT INTO reference (key, outbox_id, delivery, updated_at)
  SELECT gen_random_uuid(), id, 'delivered', now() - interval '1 day' FROM numbered;

INSERT INTO complaint (id, ticket, status, classification, category, agency, reasons, title, description, place_code,
                       anonymous, confidential, reporter, attachments, region, channel, adapter, external_id, received_at,
                       created_at, updated_at)
  SELECT id, (10000000 + n)::text, 'received', 'pengaduan', 'pekerjaan-umum', 'Dinas PUPR Kabupaten Pringsewu',
         '{"classification":"free text","agency":"18.10 route 1","category":"word: jalan"}',
         'jalan rusak di depan SDN 2 Pagelaran, lubangnya dalam sekali, sudah dua motor', repeat(md5(n::text), 5),
         '18.10', false, false, %(key)s::bytea || decode(repeat(md5(n::text), 8), 'hex'), '[]', '00', 'sms', 'sms.twilio',
         'SM' || md5(n::text), now() - interval '1 day', now() - interval '1 day', now() - interval '1 day' FROM numbered;

INSERT INTO complaint_history (id, complaint_id, at, actor, to_status, why)
  SELECT id, id, now() - interval '1 day', 'gateway 00/sms', 'received', '18.10 route 1' FROM numbered;

UPDATE ticket_counter SET next_number = 1000000 + 10 * %(count)s + 100000000;
"""
TABLES = ("inbox", "cases", "ticket", "outbox", "reference", "complaint", "complaint_history", "reply_count")


def fill(dsn: str, count: int, key: bytes) -> None:
    """Store `count` finished messages with their cases, replies and complaints, then vacuum and write a checkpoint.

    Encrypted columns get random bytes that begin with `key`, the fingerprint of a key, as real ones do: at its start the
    gateway looks whether it has every key that the rows name.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _FILL.split(";\n"):
            if statement.strip():
                cursor = psycopg.ClientCursor(connection)
                cursor.execute(statement, {"count": count, "key": key})
        connection.execute("DROP TABLE numbered")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def empty(dsn: str) -> None:
    """Remove all messages."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE complaint_history DISABLE TRIGGER USER")
        connection.execute(f"TRUNCATE {', '.join(TABLES)}")
        connection.execute("ALTER TABLE complaint_history ENABLE TRIGGER USER")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
