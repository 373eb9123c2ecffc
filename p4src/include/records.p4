// Replica records, the sending side: a clone of the packet that changed a connection becomes the record that says so.
control Records(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        bit<4> fields = 0;
        bit<16> length = 12;
        if (meta.record_kind == RECORD_OPEN || meta.record_kind == RECORD_FULL || meta.record_kind == RECORD_GIVE ||
                meta.record_kind == RECORD_ADOPT) {
            fields = HAS_BINDING;
            length = length + 2;
            hdr.record_binding.setValid();
            hdr.record_binding.binding = meta.record_binding;
        }
        if (meta.record_kind != RECORD_OPEN && meta.record_kind != RECORD_STATE) {
            fields = fields | HAS_BYTES;
            length = length + 5;
            hdr.record_bytes.setValid();
            hdr.record_bytes.bytes = meta.record_bytes;
        }
        if (meta.record_kind == RECORD_FULL || meta.record_kind == RECORD_GIVE) {
            fields = fields | HAS_AGE;
            length = length + 3;
            hdr.record_age.setValid();
            hdr.record_age.age = meta.record_age;
        }
        if (meta.record_kind == RECORD_OPEN) {
            fields = fields | HAS_TUPLE;
            length = length + 13;
            hdr.record_tuple.setValid();
            hdr.record_tuple.client = meta.client;
            hdr.record_tuple.address = meta.address;
            hdr.record_tuple.protocol = meta.protocol;
            hdr.record_tuple.client_port = meta.client_port;
            hdr.record_tuple.service_port = meta.service_port;
        }
        hdr.record.setValid();
        hdr.record.version = RECORD_VERSION;
        hdr.record.kind = meta.record_kind;
        hdr.record.sequence = meta.record_sequence;
        hdr.record.fields = fields;
        hdr.record.state = meta.record_state;
        hdr.record.service = meta.record_service;
        hdr.record.origin = meta.record_origin;
        hdr.record.signature = meta.record_signature;

        hdr.packet_out.setInvalid();
        hdr.arp.setInvalid();
        hdr.mpls_inner.setInvalid();
        hdr.ipv4_options.setInvalid();
        hdr.tcp.setInvalid();
        hdr.probe.setInvalid();

        // A clone's replica is numbered by the label of the node that it goes to; the CPU has none.
        hdr.ethernet.setValid();
        hdr.ethernet.dst = FABRIC_MAC ++ std.egress_rid;
        hdr.ethernet.src = FABRIC_MAC ++ meta.record_origin;
        if (std.egress_port == CPU_PORT) {
            hdr.packet_in.setValid();
            hdr.packet_in.pad = 0;
            hdr.packet_in.ingress_port = CPU_PORT;
            hdr.packet_in.reason = IN_RECORD;
            hdr.packet_in.cursor = 0;
            hdr.packet_in.live = 0;
            hdr.packet_in.expired = 0;
            hdr.packet_in.sent = 0;
            hdr.mpls.setInvalid();
            hdr.ethernet.type = ETHERTYPE_IPV4;
            truncate((bit<32>)(PACKET_IN_BYTES + 42 + length));
        } else {
            hdr.ethernet.type = ETHERTYPE_MPLS;
            hdr.mpls.setValid();
            hdr.mpls.label = (bit<20>)std.egress_rid;
            hdr.mpls.traffic_class = 0;
            hdr.mpls.bottom = 1;
            hdr.mpls.ttl = DEFAULT_TTL;
            truncate((bit<32>)(46 + length));
        }
        hdr.ipv4.setValid();
        hdr.ipv4.version = 4;
        hdr.ipv4.ihl = 5;
        hdr.ipv4.tos = 0;
        hdr.ipv4.total_len = 28 + length;
        hdr.ipv4.identification = 0;
        hdr.ipv4.flags = 2;                  // do not fragment
        hdr.ipv4.fragment_offset = 0;
        hdr.ipv4.ttl = DEFAULT_TTL;
        hdr.ipv4.protocol = PROTOCOL_UDP;
        hdr.ipv4.src = LINK_LOCAL ++ meta.record_origin;
        hdr.ipv4.dst = LINK_LOCAL ++ std.egress_rid;
        hdr.udp.setValid();
        hdr.udp.src_port = RECORD_PORT;
        hdr.udp.dst_port = RECORD_PORT;
        hdr.udp.length = 8 + length;
        hdr.udp.checksum = 0;                // none (RFC 768)
    }
}
