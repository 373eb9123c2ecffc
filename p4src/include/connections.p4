// The connection table: finds what was chosen for a connection, chooses for a new one, refuses beyond capacity.
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

    Lookup() lookup;
    Store() store;

    apply {
        tick_t now = std.ingress_global_timestamp[39:16];
        meta.protocol = hdr.ipv4.protocol;
        hash(meta.signature, HashAlgorithm.crc32, 32w0,
            { meta.client, meta.address, meta.protocol, meta.client_port, meta.service_port }, 33w0x100000000);

        entry_t entry;
        place_t place;
        bool known;              // the entry is this connection's
        bool open;               // it is to be bound anew, in the entry at `place`
        bool expired = false;    // the entry at `place` was another's, past its time: it is free now
        lookup.apply(meta.signature, meta.node, now, meta.opens, entry, place, known, open);
        if (meta.probing == 1) { known = false; }

        bit<4> kind = RECORD_NONE;
        bit<4> state = STATE(entry);
        if (known) {
            meta.binding = BINDING(entry);
            if (REPLICA_OF(entry) != 0 && state != CLOSING) {
                // The first packet after its primary failed or handed over: from now on the connection is ours.
                bit<32> live;
                live_connections.read(live, 0);
                live_connections.write(0, live + 1);
                services_adopted.count((bit<32>)SERVICE(entry));
                entry[67:64] = 0;
                kind = RECORD_ADOPT;
            }
            if (hdr.tcp.isValid()) {
                if ((hdr.tcp.flags & (TCP_FIN | TCP_RST)) != 0) {
                    if (state != CLOSING) {
                        state = CLOSING;
                        bit<32> live;
                        live_connections.read(live, 0);
                        live_connections.write(0, live - 1);
                        services_closed.count((bit<32>)SERVICE(entry));
                        if (kind == RECORD_NONE) { kind = RECORD_CLOSE; }
                    }
                } else if (meta.opens == 1) {
                    // The same ports again: a new connection once the old one was closed, else a repeated SYN.
                    open = state == CLOSING;
                } else if (state == OPENING) {
                    state = ESTABLISHED;
                    if (kind == RECORD_NONE) { kind = RECORD_STATE; }
                }
            }
        } else if (open && IS_LIVE(entry)) {
            COUNT_GONE(services_expired, entry)
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
                bit<32> number = (bit<32>)(meta.signature[31:16] ^ meta.signature[15:0]);
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
                    entry[79:72] = meta.service;
                    kind = RECORD_OPEN;
                    if ((number & meta.node.sample_mask) == 0) {
                        digest<connection_t>(1, { meta.client, meta.address, meta.client_port, meta.service_port,
                            hdr.ipv4.protocol, meta.service, meta.binding });
                    }
                }
            }
        }

        if (known || open) {
            bit<36> bytes = BYTES(entry);
            if (meta.reversed == 0) { bytes = bytes + (bit<36>)hdr.ipv4.total_len; }
            if (kind == RECORD_NONE && REPLICA_OF(entry) == 0 && state != CLOSING && (bytes[35:16] != entry[35:16] ||
                    ((now ^ LAST_SEEN(entry)) & meta.node.refresh_mask) != 0)) {
                kind = RECORD_PROGRESS;
            }
            entry = meta.signature ++ meta.binding ++ SERVICE(entry) ++ state ++ REPLICA_OF(entry) ++ now ++
                GENERATION(entry) ++ bytes;
        } else if (expired) {
            entry = 0;           // nobody took its place: it must not be counted twice
        }
        if (known || open || expired) {
            store.apply(place, entry);
        }
        if (kind != RECORD_NONE && meta.node.replicate == 1) {
            bit<32> number;
            sequence.read(number, 0);
            sequence.write(0, number + 1);
            records_sent.count((bit<32>)kind);
            meta.record_session = ALL_SHADOWS;
            meta.record_kind = kind;
            meta.record_sequence = number[23:0];
            meta.record_state = state;
            meta.record_service = SERVICE(entry);
            meta.record_origin = meta.node.label;
            meta.record_signature = meta.signature;
            meta.record_binding = meta.binding;
            meta.record_bytes = (bit<40>)BYTES(entry);
        }
    }
}
