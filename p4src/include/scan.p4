// A packet-out that walks over the connection table, two indices (eight entries) a pass. It expires idle entries; it can
// send the others as records (a pass ends with the first that it sends), free those replicas that a resync has not
// refreshed, or give up what another node carries by now. It carries its own progress, and ends as a packet-in that
// says what it found and did.
control ScanEntry(inout entry_t entry, inout packet_out_t scan, inout metadata_t meta, in bit<8> way, out bool changed) {
    Aging() aging;
    apply {
        changed = false;
        if (STATE(entry) != FREE && meta.record_kind == RECORD_NONE && scan.way <= way) {
            bool past;
            aging.apply(entry, meta.node, scan.now, past);
            bool chosen = ((scan.origins >> REPLICA_OF(entry)) & 1) == 1;
            if (past) {
                if (IS_LIVE(entry)) {
                    COUNT_GONE(services_expired, entry)
                    scan.expired = scan.expired + 1;
                }
                entry = 0;
                changed = true;
            } else {
                if (scan.mode == SCAN_DISOWN) {
                    if (REPLICA_OF(entry) == 0) {
                        if (IS_LIVE(entry)) { COUNT_GONE(services_released, entry) }
                        scan.sent = scan.sent + 1;
                        entry[67:64] = scan.owner[3:0];
                        changed = true;
                    }
                } else if (scan.mode == SCAN_SWEEP) {
                    if (chosen && REPLICA_OF(entry) != 0 && (bit<8>)GENERATION(entry) != scan.generation) {
                        scan.sent = scan.sent + 1;
                        entry = 0;
                        changed = true;
                    }
                } else if (scan.mode != SCAN_EXPIRE && chosen) {
                    meta.record_session = scan.session;
                    meta.record_kind = RECORD_FULL;
                    if (scan.mode == SCAN_GIVE) { meta.record_kind = RECORD_GIVE; }
                    records_sent.count((bit<32>)meta.record_kind);
                    meta.record_sequence = scan.sent[23:0];
                    meta.record_state = STATE(entry);
                    meta.record_service = SERVICE(entry);
                    meta.record_origin = meta.node.label;
                    meta.record_signature = SIGNATURE(entry);
                    meta.record_binding = BINDING(entry);
                    meta.record_bytes = (bit<40>)BYTES(entry);
                    meta.record_age = scan.now - LAST_SEEN(entry);
                    if (meta.record_age >= 0x800000) { meta.record_age = 0; }
                    scan.sent = scan.sent + 1;
                    scan.way = way + 1;
                }
                if (IS_LIVE(entry)) { scan.live = scan.live + 1; }
            }
        }
    }
}

control ScanIndex(inout packet_out_t scan, inout metadata_t meta) {
    ScanEntry() in_0;
    ScanEntry() in_1;
    ScanEntry() in_2;
    ScanEntry() in_3;
    apply {
        if (scan.cursor < scan.limit && scan.cursor < MAX_ENTRIES && meta.record_kind == RECORD_NONE) {
            entry_t entry;
            bool changed;
            connections_0.read(entry, scan.cursor);
            in_0.apply(entry, scan, meta, 0, changed);
            if (changed) { connections_0.write(scan.cursor, entry); }
            connections_1.read(entry, scan.cursor);
            in_1.apply(entry, scan, meta, 1, changed);
            if (changed) { connections_1.write(scan.cursor, entry); }
            connections_2.read(entry, scan.cursor);
            in_2.apply(entry, scan, meta, 2, changed);
            if (changed) { connections_2.write(scan.cursor, entry); }
            connections_3.read(entry, scan.cursor);
            in_3.apply(entry, scan, meta, 3, changed);
            if (changed) { connections_3.write(scan.cursor, entry); }
            if (meta.record_kind == RECORD_NONE || scan.way == 4) {
                scan.cursor = scan.cursor + 1;
                scan.way = 0;
            }
        }
    }
}

control Scan(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    ScanIndex() first;
    ScanIndex() second;
    apply {
        if (std.instance_type == 0) {
            hdr.packet_out.now = std.ingress_global_timestamp[39:16];
        }
        first.apply(hdr.packet_out, meta);
        second.apply(hdr.packet_out, meta);
        std.egress_spec = CPU_PORT;
        if (hdr.packet_out.cursor < hdr.packet_out.limit && hdr.packet_out.cursor < MAX_ENTRIES) {
            meta.recirculate = 1;
        } else {
            hdr.packet_in.setValid();
            hdr.packet_in.pad = 0;
            hdr.packet_in.ingress_port = CPU_PORT;
            hdr.packet_in.reason = IN_SCAN_DONE;
            hdr.packet_in.cursor = hdr.packet_out.cursor;
            hdr.packet_in.live = hdr.packet_out.live;
            hdr.packet_in.expired = hdr.packet_out.expired;
            hdr.packet_in.sent = hdr.packet_out.sent;
            hdr.packet_out.setInvalid();
        }
        meta.done = 1;
    }
}
