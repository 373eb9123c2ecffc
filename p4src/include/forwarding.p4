// Routes by prefix, and paths by label. Between stages a packet carries one MPLS label: the node (or backend) it goes to.
control Routes(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    @name(".route_traffic") direct_counter(CounterType.packets_and_bytes) route_traffic;

    // A host on a port of this node.
    @name(".deliver") action deliver(port_t port, mac_t mac) {
        hdr.ethernet.dst = mac;
        hdr.ethernet.src = meta.node.mac;
        std.egress_spec = port;
        meta.done = 1;
        route_traffic.count();
    }
    // A prefix behind another node.
    @name(".tunnel") action tunnel(label_t label, mac_t mac) {
        hdr.ethernet.dst = mac;
        hdr.ethernet.src = meta.node.mac;
        meta.label = label;
        route_traffic.count();
    }
    // To the controller.
    @name(".punt") action punt() {
        hdr.packet_in.setValid();
        hdr.packet_in.pad = 0;
        hdr.packet_in.ingress_port = std.ingress_port;
        hdr.packet_in.reason = IN_PUNT;
        hdr.packet_in.cursor = 0;
        hdr.packet_in.live = 0;
        hdr.packet_in.expired = 0;
        hdr.packet_in.sent = 0;
        std.egress_spec = CPU_PORT;
        meta.done = 1;
        route_traffic.count();
    }
    @name(".unroutable") action unroutable() {
        drops.count(DROP_UNROUTABLE);
        mark_to_drop(std);
        meta.done = 1;
        route_traffic.count();
    }
    @name(".routes") table routes {
        key = { hdr.ipv4.dst: lpm @name("prefix"); }
        actions = { deliver; tunnel; punt; unroutable; }
        const default_action = unroutable();
        counters = route_traffic;
        size = 65536;
    }
    apply {
        routes.apply();
    }
}

control Labels(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    @name(".label_paths") action_selector(HashAlgorithm.identity, 32w16384, 32w32) label_paths;

    @name(".forward") action forward(port_t port) {
        std.egress_spec = port;
    }
    // The last hop: the label has done its work (penultimate-hop popping, RFC 3031, 3.16).
    @name(".pop_forward") action pop_forward(port_t port) {
        std.egress_spec = port;
        hdr.mpls.setInvalid();
        hdr.ethernet.type = ETHERTYPE_IPV4;
    }
    action no_label() {
        drops.count(DROP_NO_LABEL);
        mark_to_drop(std);
    }
    // Several members: equal-cost paths, chosen by connection.
    @name(".labels") table labels {
        key = { meta.label: exact @name("label"); meta.signature: selector; }
        actions = { forward; pop_forward; }
        implementation = label_paths;
        size = MAX_LABELS;
    }
    apply {
        if (hdr.mpls.isValid()) {
            hdr.mpls.ttl = hdr.mpls.ttl - 1;
        } else {
            hdr.mpls.setValid();
            hdr.mpls.label = (bit<20>)meta.label;
            hdr.mpls.traffic_class = 0;
            hdr.mpls.bottom = 1;
            hdr.mpls.ttl = hdr.ipv4.ttl;
            hdr.ethernet.type = ETHERTYPE_MPLS;
        }
        if (!labels.apply().hit) {
            no_label();
        }
    }
}
