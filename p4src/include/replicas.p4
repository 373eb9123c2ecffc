// Replica records, the receiving side: what a primary says of a connection goes into this node's own table.
control Replicas(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    @name(".accept_from") action accept_from(bit<4> number, bit<4> generation) {
        meta.number = number;
        meta.generation = generation;
    }
    @name(".stranger") action stranger() {
        drops.count(DROP_STRANGER);
    }
    @name(".primaries") table primaries {
        key = { hdr.record.origin: exact @name("origin"); }
        actions = { accept_from; stranger; }
        const default_action = stranger();
        size = 64;
    }

    Lookup() lookup;
    Store() store;

    apply {
        mark_to_drop(std);
        meta.done = 1;
        if (hdr.record.version != RECORD_VERSION || hdr.record.kind == RECORD_NONE || hdr.record.kind > RECORD_ADOPT ||
                hdr.record.state == FREE || hdr.record.state > DATAGRAM) {
            drops.count(DROP_MALFORMED);
        } else if (primaries.apply().hit) {
            bit<32> row = (bit<32>)meta.number << 3;
            bool by_scan = hdr.record.kind == RECORD_FULL || hdr.record.kind == RECORD_GIVE;
            bool late = false;
            if (by_scan) {
                records_received.count(row + RECEIVED_BY_SCAN);
            } else {
                bit<32> next;
                expected.read(next, (bit<32>)meta.number);
                expected.write((bit<32>)meta.number, (bit<32>)(hdr.record.sequence + 1));
                bit<24> ahead = hdr.record.sequence - next[23:0];
                if (ahead == 0) {
                    records_received.count(row + RECEIVED_IN_SEQUENCE);
                } else if (ahead < 0x800000) {
                    records_received.count(row + RECEIVED_AFTER_GAP);
                } else {
                    records_received.count(row + RECEIVED_LATE);
                    late = true;
                }
            }
            bit<32> signature = hdr.record.signature;
            if (hdr.record_tuple.isValid()) {
                hash(signature, HashAlgorithm.crc32, 32w0, { hdr.record_tuple.client, hdr.record_tuple.address,
                    hdr.record_tuple.protocol, hdr.record_tuple.client_port, hdr.record_tuple.service_port },
                    33w0x100000000);
            }
            if (signature != hdr.record.signature) {
                records_received.count(row + RECEIVED_DAMAGED);
            } else {
                tick_t now = std.ingress_global_timestamp[39:16];
                bit<1> complete = 0;     // it says enough to make an entry
                if (hdr.record_binding.isValid()) { complete = 1; }
                tick_t age = 0;          // since the connection's last packet at its sender
                if (hdr.record_age.isValid()) { age = hdr.record_age.age; }
                bit<40> bytes = 0;

                entry_t entry;
                place_t place;
                bool known;
                bool vacant;
                lookup.apply(signature, meta.node, now, complete, entry, place, known, vacant);

                bool take = false;
                bit<32> live;
                live_connections.read(live, 0);
                bit<32> live_before = live;
                label_t binding = BINDING(entry);
                if (known) {
                    tick_t own_age = now - LAST_SEEN(entry);
                    if (own_age >= 0x800000) { own_age = 0; }
                    bytes = (bit<40>)BYTES(entry);
                    if (late) {
                        take = false;    // what is known is newer
                    } else if (STATE(entry) == CLOSING && hdr.record.state != CLOSING && complete == 0) {
                        records_received.count(row + RECEIVED_UNKNOWN);   // a later life, whose OPEN was lost
                    } else if (hdr.record.kind == RECORD_OPEN && REPLICA_OF(entry) != meta.number &&
                            STATE(entry) != CLOSING && own_age <= meta.node.opening_idle) {
                        // A router that hung has let an old SYN out of its queue: the connection was opened elsewhere.
                        records_received.count(row + RECEIVED_KEPT_OURS);
                    } else if (REPLICA_OF(entry) != 0 && by_scan && REPLICA_OF(entry) != meta.number &&
                            age > own_age + AGE_SLACK) {
                        records_received.count(row + RECEIVED_KEPT_OURS); // another primary carried it since
                    } else if (REPLICA_OF(entry) != 0) {
                        take = true;
                    } else if (hdr.record.kind == RECORD_GIVE) {
                        take = false;    // it is ours already
                    } else if (hdr.record.kind == RECORD_ADOPT || age < own_age) {
                        take = true;     // the connection's packets go there now
                        if (IS_LIVE(entry)) {
                            live = live - 1;
                            services_released.count((bit<32>)SERVICE(entry));
                        }
                    } else {
                        records_received.count(row + RECEIVED_KEPT_OURS);
                    }
                } else if (vacant) {
                    take = true;
                    if (IS_LIVE(entry)) {
                        live = live - 1;
                        services_expired.count((bit<32>)SERVICE(entry));
                    }
                } else if (complete == 1) {
                    records_received.count(row + RECEIVED_NO_PLACE);
                } else {
                    records_received.count(row + RECEIVED_UNKNOWN);
                }

                if (take) {
                    bit<4> replica_of = meta.number;
                    bit<4> generation = meta.generation;
                    if (hdr.record.kind == RECORD_GIVE) {
                        replica_of = 0;
                        generation = 0;
                        if (hdr.record.state != CLOSING) {
                            live = live + 1;
                            services_adopted.count((bit<32>)hdr.record.service);
                        }
                    }
                    if (hdr.record_binding.isValid()) { binding = hdr.record_binding.binding; }
                    if (hdr.record_bytes.isValid()) { bytes = hdr.record_bytes.bytes; }
                    if (hdr.record.kind == RECORD_OPEN) { bytes = 0; }
                    entry = hdr.record.signature ++ binding ++ hdr.record.service ++ hdr.record.state ++ replica_of ++
                        (now - age) ++ generation ++ bytes[35:0];
                    store.apply(place, entry);
                }
                if (live != live_before) { live_connections.write(0, live); }
            }
        }
    }
}
