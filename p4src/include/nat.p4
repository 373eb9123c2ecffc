// 1:1 NAT at the edge: an internal address and the external one that the outside knows it by (basic NAT, RFC 3022, 4.1).
// No ports and no state: rows are there before the first packet, and nothing is lost with a switch but its rows.
control Nat(inout headers_t hdr) {
    @name(".nat_out_traffic") direct_counter(CounterType.packets_and_bytes) nat_out_traffic;
    @name(".nat_in_traffic") direct_counter(CounterType.packets_and_bytes) nat_in_traffic;

    ipv4_t source = hdr.ipv4.src;
    ipv4_t destination = hdr.ipv4.dst;

    // Where internal addresses are spoken: the other subdivisions, service addresses.
    @name(".inside") action inside() {}
    @name(".nat_inside") table nat_inside {
        key = { hdr.ipv4.dst: lpm @name("prefix"); }
        actions = { inside; NoAction; }
        const default_action = NoAction();
        size = 1024;
    }
    @name(".to_external") action to_external(ipv4_t address) {
        hdr.ipv4.src = address;
        nat_out_traffic.count();
    }
    @name(".nat_out") table nat_out {
        key = { hdr.ipv4.src: exact @name("internal"); }
        actions = { to_external; NoAction; }
        const default_action = NoAction();
        counters = nat_out_traffic;
        size = 65536;
    }
    @name(".to_internal") action to_internal(ipv4_t address) {
        hdr.ipv4.dst = address;
        nat_in_traffic.count();
    }
    @name(".nat_in") table nat_in {
        key = { hdr.ipv4.dst: exact @name("external"); }
        actions = { to_internal; NoAction; }
        const default_action = NoAction();
        counters = nat_in_traffic;
        size = 65536;
    }

    // A checksum after a change of 16-bit words (RFC 1624, equation 3): `changed` is the sum of ~old + new over them.
    action adjust(inout bit<16> checksum, in bit<32> changed) {
        bit<32> sum = (bit<32>)(~checksum) + changed;
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        checksum = ~(sum[15:0]);
    }

    apply {
        if (!nat_inside.apply().hit) {
            nat_out.apply();
            nat_in.apply();           // both for one packet: an instance that calls another by its external address
            if (hdr.ipv4.src != source || hdr.ipv4.dst != destination) {
                bit<32> changed = (bit<32>)(~source[31:16]) + (bit<32>)(~source[15:0])
                    + (bit<32>)(~destination[31:16]) + (bit<32>)(~destination[15:0])
                    + (bit<32>)hdr.ipv4.src[31:16] + (bit<32>)hdr.ipv4.src[15:0]
                    + (bit<32>)hdr.ipv4.dst[31:16] + (bit<32>)hdr.ipv4.dst[15:0];
                if (hdr.tcp.isValid()) {
                    adjust(hdr.tcp.checksum, changed);
                } else if (hdr.udp.isValid()) {
                    if (hdr.udp.checksum != 0) {
                        adjust(hdr.udp.checksum, changed);
                        if (hdr.udp.checksum == 0) { hdr.udp.checksum = 0xFFFF; }     // 0 means none (RFC 768)
                    }
                } else if (hdr.ipv4_inner.isValid()) {
                    // An ICMP error quotes the packet that it is about, which went the other way. ICMP's own checksum
                    // stays: an IPv4 header with its checksum always sums up to the same.
                    if (hdr.ipv4_inner.dst == source) {
                        bit<32> quoted = (bit<32>)(~source[31:16]) + (bit<32>)(~source[15:0])
                            + (bit<32>)hdr.ipv4.src[31:16] + (bit<32>)hdr.ipv4.src[15:0];
                        hdr.ipv4_inner.dst = hdr.ipv4.src;
                        adjust(hdr.ipv4_inner.checksum, quoted);
                    }
                    if (hdr.ipv4_inner.src == destination) {
                        bit<32> quoted = (bit<32>)(~destination[31:16]) + (bit<32>)(~destination[15:0])
                            + (bit<32>)hdr.ipv4.dst[31:16] + (bit<32>)hdr.ipv4.dst[15:0];
                        hdr.ipv4_inner.src = hdr.ipv4.dst;
                        adjust(hdr.ipv4_inner.checksum, quoted);
                    }
                }
            }
        }
    }
}
