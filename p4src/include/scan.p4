// A packet-out that walks over the connection table and expires idle entries, two indices (eight entries) a pass. It
// carries its own progress, and ends as a packet-in that says how many connections it found alive.
control ScanEntry(inout entry_t entry, inout packet_out_t scan, in metadata_t meta) {
    Aging() aging;
    apply {
        bool past;
        aging.apply(entry, meta.node, scan.now, past);
        if (past) {
            if (STATE(entry) != CLOSING) {
                bit<32> live;
                live_connections.read(live, 0);
                live_connections.write(0, live - 1);
                services_expired.count((bit<32>)SERVICE(entry));
                scan.expired = scan.expired + 1;
            }
            entry = 0;
        } else if (STATE(entry) != CLOSING) {
            scan.live = scan.live + 1;
        }
    }
}

control ScanIndex(inout packet_out_t scan, in metadata_t meta) {
    ScanEntry() in_0;
    ScanEntry() in_1;
    ScanEntry() in_2;
    ScanEntry() in_3;
    apply {
        if (scan.cursor < scan.limit && scan.cursor < MAX_ENTRIES) {
            entry_t entry;
            connections_0.read(entry, scan.cursor);
            if (STATE(entry) != FREE) {
                in_0.apply(entry, scan, meta);
                if (STATE(entry) == FREE) { connections_0.write(scan.cursor, entry); }
            }
            connections_1.read(entry, scan.cursor);
            if (STATE(entry) != FREE) {
                in_1.apply(entry, scan, meta);
                if (STATE(entry) == FREE) { connections_1.write(scan.cursor, entry); }
            }
            connections_2.read(entry, scan.cursor);
            if (STATE(entry) != FREE) {
                in_2.apply(entry, scan, meta);
                if (STATE(entry) == FREE) { connections_2.write(scan.cursor, entry); }
            }
            connections_3.read(entry, scan.cursor);
            if (STATE(entry) != FREE) {
                in_3.apply(entry, scan, meta);
                if (STATE(entry) == FREE) { connections_3.write(scan.cursor, entry); }
            }
            scan.cursor = scan.cursor + 1;
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
            hdr.packet_out.setInvalid();
        }
        meta.done = 1;
    }
}
