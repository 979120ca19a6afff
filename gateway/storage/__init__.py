"""The only SQL engine room: connections, bulk statements, encryption, migrations."""
