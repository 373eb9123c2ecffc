// Probes: to a node and back, stamped by the data plane, to see whether it lives, how far it is and what it can carry.
control ProbeSent(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        if (hdr.probe.isValid() && hdr.mpls.isValid()) {
            hdr.probe.sent = std.ingress_global_timestamp;
            meta.signature = (bit<32>)hdr.udp.src_port;       // chooses among paths of equal cost
            if (hdr.packet_out.session != 0) {
                std.mcast_grp = hdr.packet_out.session;       // a burst: copies to one port
                meta.done = 1;
            } else {
                meta.label = (label_t)hdr.mpls.label;
            }
            hdr.packet_out.setInvalid();
        } else {
            drops.count(DROP_MALFORMED);
            mark_to_drop(std);
            meta.done = 1;
        }
    }
}

control ProbeBack(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        hdr.probe.received = std.ingress_global_timestamp;
        bit<32> count;
        bit<32> sum;
        bit<32> longest;
        probes.read(count, 0);
        probes.read(sum, 1);
        probes.read(longest, 2);
        if ((hdr.probe.flags & PROBE_QUIET) != 0) {
            bit<32> round_trip = (bit<32>)(hdr.probe.received - hdr.probe.sent);
            probes.write(0, count + 1);
            probes.write(1, sum + round_trip);
            if (round_trip > longest) { probes.write(2, round_trip); }
            mark_to_drop(std);
        } else {
            hdr.probe.count = count;
            hdr.probe.sum = sum;
            hdr.probe.longest = longest;
            if ((hdr.probe.flags & PROBE_COLLECT) != 0) {
                probes.write(0, 0);
                probes.write(1, 0);
                probes.write(2, 0);
            }
            hdr.packet_in.setValid();
            hdr.packet_in.pad = 0;
            hdr.packet_in.ingress_port = std.ingress_port;
            hdr.packet_in.reason = IN_PROBE;
            hdr.packet_in.cursor = 0;
            hdr.packet_in.live = 0;
            hdr.packet_in.expired = 0;
            hdr.packet_in.sent = 0;
            hdr.mpls.setInvalid();
            hdr.ethernet.type = ETHERTYPE_IPV4;
            std.egress_spec = CPU_PORT;
        }
        meta.done = 1;
    }
}
