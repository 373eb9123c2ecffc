"""The pool's tables (SQLite).

An address is a row only once it was used: its number is the shard's number × 2²⁰ + its offset in the shard, and
`shards.next_offset` is the first that was never used. Shard numbers are never used again. `queue` is the
subdivision's number × 2 (+ 1 for IPv6), and NULL while the shard gives no addresses; with it, finding the next
address is one look into one index whatever the pool's size. "Free" is no state of a row: it is `cooling` whose
time is over.
"""

from __future__ import annotations

from controller.model import AddressState

VERSION = 1

HELD, GRANTED, COOLING, RESERVED = 1, 2, 3, 4
STATES = {
    HELD: AddressState.HELD,
    GRANTED: AddressState.GRANTED,
    COOLING: AddressState.COOLING,
    RESERVED: AddressState.RESERVED,
}

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS pool (
    id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL, boot TEXT NOT NULL,
    elapsed_s REAL NOT NULL, pool_s REAL NOT NULL);
INSERT OR IGNORE INTO pool VALUES (1, 0, '', 0, 0);
CREATE TABLE IF NOT EXISTS subdivisions (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, prefixes TEXT NOT NULL, site TEXT NOT NULL,
    switch TEXT, max_shards INTEGER NOT NULL, quota INTEGER, external TEXT);
CREATE TABLE IF NOT EXISTS shards (
    id INTEGER PRIMARY KEY AUTOINCREMENT, prefix TEXT NOT NULL UNIQUE, family INTEGER NOT NULL,
    low BLOB NOT NULL, high BLOB NOT NULL, first BLOB NOT NULL, capacity INTEGER NOT NULL,
    next_offset INTEGER NOT NULL DEFAULT 0, subdivision INTEGER NOT NULL REFERENCES subdivisions,
    state TEXT NOT NULL, claimant TEXT NOT NULL, sequence INTEGER NOT NULL, since_s REAL NOT NULL,
    held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    granted INTEGER NOT NULL DEFAULT 0 CHECK (granted >= 0),
    cooling INTEGER NOT NULL DEFAULT 0 CHECK (cooling >= 0),
    reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0));
CREATE INDEX IF NOT EXISTS shards_by_address ON shards (family, low);
CREATE INDEX IF NOT EXISTS shards_by_subdivision ON shards (subdivision, family, low);
CREATE INDEX IF NOT EXISTS shards_fresh ON shards (subdivision, family, low)
    WHERE next_offset < capacity AND state IN ('assigned', 'prefetched');
CREATE TABLE IF NOT EXISTS addresses (
    id INTEGER PRIMARY KEY, family INTEGER NOT NULL, queue INTEGER, state INTEGER NOT NULL,
    owner TEXT, warm INTEGER NOT NULL DEFAULT 0, reserved TEXT, sequence INTEGER NOT NULL,
    since_s REAL NOT NULL, idle_s REAL NOT NULL, suspect INTEGER, suspect_s REAL,
    CHECK ((state = {GRANTED}) = (owner IS NOT NULL)));
CREATE INDEX IF NOT EXISTS held_next ON addresses (queue, sequence) WHERE state = {HELD};
CREATE INDEX IF NOT EXISTS idle_next ON addresses (queue, idle_s, sequence)
    WHERE state = {COOLING};
CREATE UNIQUE INDEX IF NOT EXISTS granted_to ON addresses (owner, family)
    WHERE state = {GRANTED};
CREATE INDEX IF NOT EXISTS reserved_for ON addresses (reserved) WHERE state = {RESERVED};
"""
