// ARP answered in the data plane: gateways, service addresses, held addresses (RFC 826).
control Arp(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    @name(".arp_reply") action arp_reply(mac_t mac) {
        hdr.ethernet.dst = hdr.arp.sender_mac;
        hdr.ethernet.src = mac;
        hdr.arp.operation = 2;
        hdr.arp.target_mac = hdr.arp.sender_mac;
        hdr.arp.sender_mac = mac;
        ipv4_t asked = hdr.arp.target_ip;
        hdr.arp.target_ip = hdr.arp.sender_ip;
        hdr.arp.sender_ip = asked;
        std.egress_spec = std.ingress_port;
    }
    @name(".arp_drop") action arp_drop() {
        drops.count(DROP_ARP);
        mark_to_drop(std);
    }
    @name(".arp") table arp {
        key = { hdr.arp.operation: exact @name("operation"); hdr.arp.target_ip: exact @name("address"); }
        actions = { arp_reply; arp_drop; }
        const default_action = arp_drop();
        size = 65536;
    }
    apply {
        arp.apply();
        meta.done = 1;
    }
}
