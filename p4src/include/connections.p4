// The connection table: finds what was chosen for a connection, chooses for a new one, refuses beyond capacity.
#define IS_OURS(e) (SIGNATURE(e) == meta.signature && STATE(e) != FREE)

control Connections(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    @name(".redirected") direct_counter(CounterType.packets) redirected;
    @name(".chosen") direct_counter(CounterType.packets) chosen;

    // Another slot set for clients of some prefixes: the site that serves them best.
    @name(".use_slot_set") action use_slot_set(slot_set_t slot_set) {
        meta.slot_set = slot_set;
        redirected.count();
    }
    @name(".keep_slot_set") action keep_slot_set() {
        redirected.count();
    }
    @name(".redirects") table redirects {
        key = { meta.service: exact @name("service"); meta.client: lpm @name("client"); }
        actions = { use_slot_set; keep_slot_set; }
        const default_action = keep_slot_set();
        counters = redirected;
        size = 16384;
    }

    // A weighted choice: 100 slots, always in the same order, one slot = 1 %. The slot is choice % 100.
    @name(".slot_members") action_selector(HashAlgorithm.identity, 32w65536, 32w32) slot_members;
    @name(".bind") action bind(label_t target) {
        meta.binding = target;
    }
    @name(".slots") table slots {
        key = { meta.slot_set: exact @name("slot_set"); meta.choice: selector; }
        actions = { bind; }
        implementation = slot_members;
        counters = chosen;
        size = MAX_SLOT_SETS;
    }

    Aging() aging_0;
    Aging() aging_1;
    Aging() aging_2;
    Aging() aging_3;

    apply {
        tick_t now = std.ingress_global_timestamp[39:16];
        bit<16> hash_16;
        hash(meta.signature, HashAlgorithm.crc32, 32w0,
            { meta.client, meta.address, hdr.ipv4.protocol, meta.client_port, meta.service_port }, 33w0x100000000);
        hash(hash_16, HashAlgorithm.crc16, 16w0,
            { meta.client, meta.address, hdr.ipv4.protocol, meta.client_port, meta.service_port }, 17w0x10000);
        bit<32> index_0 = (bit<32>)(meta.signature[15:0] & meta.node.index_mask);
        bit<32> index_1 = (bit<32>)(hash_16 & meta.node.index_mask);

        bit<32> index_2 = (bit<32>)(meta.signature[31:16] & meta.node.index_mask);
        bit<32> index_3 = (bit<32>)((meta.signature[31:16] ^ hash_16) & meta.node.index_mask);

        entry_t entry;
        entry_t entry_1;
        entry_t entry_2;
        entry_t entry_3;
        bit<2> way = 0;
        bool known = false;      // the entry is this connection's
        bool open = false;       // it is to be bound anew, in the entry at `way`
        bool expired = false;    // the entry at `way` was another's, past its time: it is free now
        connections_0.read(entry, index_0);
        if (IS_OURS(entry)) {
            known = true;
        } else {
            connections_1.read(entry_1, index_1);
            connections_2.read(entry_2, index_2);
            connections_3.read(entry_3, index_3);
            if (IS_OURS(entry_1)) {
                known = true;
                way = 1;
                entry = entry_1;
            } else if (IS_OURS(entry_2)) {
                known = true;
                way = 2;
                entry = entry_2;
            } else if (IS_OURS(entry_3)) {
                known = true;
                way = 3;
                entry = entry_3;
            } else if (meta.opens == 1) {
                aging_0.apply(entry, meta.node, now, open);
                if (!open) {
                    aging_1.apply(entry_1, meta.node, now, open);
                    way = 1;
                    entry = entry_1;
                }
                if (!open) {
                    aging_2.apply(entry_2, meta.node, now, open);
                    way = 2;
                    entry = entry_2;
                }
                if (!open) {
                    aging_3.apply(entry_3, meta.node, now, open);
                    way = 3;
                    entry = entry_3;
                }
            }
        }

        bit<4> state = STATE(entry);
        if (known) {
            meta.binding = BINDING(entry);
            if (hdr.tcp.isValid()) {
                if ((hdr.tcp.flags & (TCP_FIN | TCP_RST)) != 0) {
                    if (state != CLOSING) {
                        state = CLOSING;
                        bit<32> live;
                        live_connections.read(live, 0);
                        live_connections.write(0, live - 1);
                        services_closed.count((bit<32>)SERVICE(entry));
                    }
                } else if (meta.opens == 1) {
                    // The same ports again: a new connection once the old one was closed, else a repeated SYN.
                    open = state == CLOSING;
                } else if (state == OPENING) {
                    state = ESTABLISHED;
                }
            }
        } else if (open && state != FREE && state != CLOSING) {
            bit<32> live;
            live_connections.read(live, 0);
            live_connections.write(0, live - 1);
            services_expired.count((bit<32>)SERVICE(entry));
            expired = true;
        }

        if (open || (!known && meta.reversed == 0)) {
            bit<32> live;
            live_connections.read(live, 0);
            if (meta.opens == 1 && meta.node.capacity != 0 && live >= meta.node.capacity) {
                open = false;
                services_refused.count((bit<32>)meta.service);
                meta.is_reset = 1;
            } else {
                // A new connection takes the next slot in turn (61 and 100 have no common factor, and 61/100 is close to
                // the golden section: any run of connections is spread as the weights say). Without a place in
                // the table the choice must be the same for every packet: the hash.
                bit<32> number = (bit<32>)hash_16;
                redirects.apply();
                meta.binding = 0;
                if (open) {
                    openings.read(number, (bit<32>)meta.slot_set);
                    openings.write((bit<32>)meta.slot_set, number + 1);
                    meta.choice = number * 61;
                } else {
                    meta.choice = number;
                    services_unbound.count((bit<32>)meta.service);
                }
                slots.apply();
                if (meta.binding == 0) {
                    open = false;
                } else if (open) {
                    live_connections.write(0, live + 1);
                    services_opened.count((bit<32>)meta.service);
                    bindings_opened.count((bit<32>)meta.binding);
                    state = DATAGRAM;
                    if (hdr.tcp.isValid()) { state = OPENING; }
                    entry = 0;
                    if ((number & meta.node.sample_mask) == 0) {
                        digest<connection_t>(1, { meta.client, meta.address, meta.client_port, meta.service_port,
                            hdr.ipv4.protocol, meta.service, meta.binding });
                    }
                }
            }
        }

        if (known || open) {
            bit<40> bytes = BYTES(entry);
            if (meta.reversed == 0) { bytes = bytes + (bit<40>)hdr.ipv4.total_len; }
            entry = meta.signature ++ meta.binding ++ SERVICE(entry) ++ state ++ 4w0 ++ now ++ bytes;
            if (open) { entry[79:72] = meta.service; }
        } else if (expired) {
            entry = 0;           // nobody took its place: it must not be counted twice
        }
        if (known || open || expired) {
            if (way == 0) {
                connections_0.write(index_0, entry);
            } else if (way == 1) {
                connections_1.write(index_1, entry);
            } else if (way == 2) {
                connections_2.write(index_2, entry);
            } else {
                connections_3.write(index_3, entry);
            }
        }
    }
}
