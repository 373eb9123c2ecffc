// Bytes → headers → bytes.
parser UmbraParser(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    state start {
        // A recirculated scan has no ingress port of its own: look at what kind of packet this is as well.
        transition select(std.instance_type, std.ingress_port) {
            (4, _): parse_packet_out;             // PKT_INSTANCE_TYPE_RECIRC
            (0, CPU_PORT): parse_packet_out;
            default: parse_ethernet;
        }
    }
    state parse_packet_out {
        packet.extract(hdr.packet_out);
        transition select(hdr.packet_out.kind) {
            OUT_PROBE: parse_ethernet;
            default: accept;                      // the rest is sent as it is
        }
    }
    state parse_ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.type) {
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_MPLS: parse_mpls;
            ETHERTYPE_ARP: parse_arp;
            default: accept;
        }
    }
    state parse_mpls {
        packet.extract(hdr.mpls);
        transition select(hdr.mpls.bottom, packet.lookahead<bit<4>>()) {
            (1, 4): parse_ipv4;
            (0, _): parse_mpls_inner;
            default: accept;
        }
    }
    state parse_mpls_inner {
        packet.extract(hdr.mpls_inner);
        transition select(hdr.mpls_inner.bottom, packet.lookahead<bit<4>>()) {
            (1, 4): parse_ipv4;
            default: accept;
        }
    }
    state parse_arp {
        packet.extract(hdr.arp);
        transition accept;
    }
    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        verify(hdr.ipv4.version == 4 && hdr.ipv4.ihl >= 5, error.HeaderTooShort);
        transition select(hdr.ipv4.ihl) {
            5: parse_transport;
            default: parse_ipv4_options;
        }
    }
    state parse_ipv4_options {
        packet.extract(hdr.ipv4_options, ((bit<32>)hdr.ipv4.ihl - 5) << 5);
        transition parse_transport;
    }
    state parse_transport {
        transition select(hdr.ipv4.fragment_offset, hdr.ipv4.protocol) {
            (0, PROTOCOL_TCP): parse_tcp;
            (0, PROTOCOL_UDP): parse_udp;
            (0, PROTOCOL_ICMP): parse_icmp;
            default: accept;
        }
    }
    // Only errors that quote a whole IPv4 header: NAT translates that as well.
    state parse_icmp {
        transition select(hdr.ipv4.ihl, hdr.ipv4.total_len) {
            (5, 0..55): accept;
            (5, _): parse_icmp_type;
            default: accept;
        }
    }
    state parse_icmp_type {
        transition select(packet.lookahead<bit<8>>()) {
            ICMP_UNREACHABLE: parse_icmp_error;
            ICMP_TIME_EXCEEDED: parse_icmp_error;
            ICMP_PARAMETER: parse_icmp_error;
            default: accept;
        }
    }
    state parse_icmp_error {
        packet.extract(hdr.icmp_error);
        packet.extract(hdr.ipv4_inner);
        transition accept;
    }
    state parse_tcp {
        packet.extract(hdr.tcp);
        transition accept;
    }
    state parse_udp {
        packet.extract(hdr.udp);
        transition select(hdr.ipv4.dst[31:16], hdr.udp.dst_port) {
            (LINK_LOCAL, RECORD_PORT): parse_record;
            (LINK_LOCAL, PROBE_PORT): parse_probe;
            default: accept;
        }
    }
    state parse_record {
        packet.extract(hdr.record);
        transition select(hdr.record.fields & HAS_BINDING) {
            0: parse_record_no_binding;
            default: parse_record_binding;
        }
    }
    state parse_record_binding {
        packet.extract(hdr.record_binding);
        transition parse_record_no_binding;
    }
    state parse_record_no_binding {
        transition select(hdr.record.fields & HAS_BYTES) {
            0: parse_record_no_bytes;
            default: parse_record_bytes;
        }
    }
    state parse_record_bytes {
        packet.extract(hdr.record_bytes);
        transition parse_record_no_bytes;
    }
    state parse_record_no_bytes {
        transition select(hdr.record.fields & HAS_AGE) {
            0: parse_record_no_age;
            default: parse_record_age;
        }
    }
    state parse_record_age {
        packet.extract(hdr.record_age);
        transition parse_record_no_age;
    }
    state parse_record_no_age {
        transition select(hdr.record.fields & HAS_TUPLE) {
            0: accept;
            default: parse_record_tuple;
        }
    }
    state parse_record_tuple {
        packet.extract(hdr.record_tuple);
        transition accept;
    }
    state parse_probe {
        packet.extract(hdr.probe);
        transition accept;
    }
}

control UmbraVerifyChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(hdr.ipv4.isValid() && !hdr.ipv4_options.isValid(),
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos, hdr.ipv4.total_len, hdr.ipv4.identification,
              hdr.ipv4.flags, hdr.ipv4.fragment_offset, hdr.ipv4.ttl, hdr.ipv4.protocol, hdr.ipv4.src, hdr.ipv4.dst },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        verify_checksum(hdr.ipv4_options.isValid(),
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos, hdr.ipv4.total_len, hdr.ipv4.identification,
              hdr.ipv4.flags, hdr.ipv4.fragment_offset, hdr.ipv4.ttl, hdr.ipv4.protocol, hdr.ipv4.src, hdr.ipv4.dst,
              hdr.ipv4_options.options },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

control UmbraComputeChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(hdr.ipv4.isValid() && !hdr.ipv4_options.isValid(),
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos, hdr.ipv4.total_len, hdr.ipv4.identification,
              hdr.ipv4.flags, hdr.ipv4.fragment_offset, hdr.ipv4.ttl, hdr.ipv4.protocol, hdr.ipv4.src, hdr.ipv4.dst },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(hdr.ipv4_options.isValid(),
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos, hdr.ipv4.total_len, hdr.ipv4.identification,
              hdr.ipv4.flags, hdr.ipv4.fragment_offset, hdr.ipv4.ttl, hdr.ipv4.protocol, hdr.ipv4.src, hdr.ipv4.dst,
              hdr.ipv4_options.options },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        // The reset that refuses a connection is written here and carries no payload: its checksum needs headers only.
        update_checksum(meta.is_reset == 1,
            { hdr.ipv4.src, hdr.ipv4.dst, 8w0, hdr.ipv4.protocol, 16w20,
              hdr.tcp.src_port, hdr.tcp.dst_port, hdr.tcp.sequence, hdr.tcp.acknowledgement, hdr.tcp.data_offset,
              hdr.tcp.reserved, hdr.tcp.flags, hdr.tcp.window, hdr.tcp.urgent },
            hdr.tcp.checksum, HashAlgorithm.csum16);
    }
}

control UmbraDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_out);
        packet.emit(hdr.packet_in);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.mpls);
        packet.emit(hdr.mpls_inner);
        packet.emit(hdr.arp);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.ipv4_options);
        packet.emit(hdr.tcp);
        packet.emit(hdr.udp);
        packet.emit(hdr.icmp_error);
        packet.emit(hdr.ipv4_inner);
        packet.emit(hdr.record);
        packet.emit(hdr.record_binding);
        packet.emit(hdr.record_bytes);
        packet.emit(hdr.record_age);
        packet.emit(hdr.record_tuple);
        packet.emit(hdr.probe);
    }
}
