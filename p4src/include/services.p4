// Which service a packet belongs to, and where its connection goes.
control Services(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    @name(".service_traffic") direct_counter(CounterType.packets_and_bytes) service_traffic;

    @name(".set_service") action set_service(service_t service, slot_set_t slot_set) {
        meta.service = service;
        meta.slot_set = slot_set;
        service_traffic.count();
    }
    @name(".no_service") action no_service() {
        service_traffic.count();
    }
    @name(".services") table services {
        key = {
            hdr.ipv4.dst: exact @name("address");
            hdr.ipv4.protocol: exact @name("protocol");
            meta.service_port: exact @name("port");
        }
        actions = { set_service; no_service; }
        const default_action = no_service();
        counters = service_traffic;
        size = MAX_SERVICES;
    }

    // The same from the other side: a service's reset on its way to the client ends the connection here as well.
    @name(".set_origin") action set_origin(service_t service) {
        meta.service = service;
    }
    @name(".origins") table origins {
        key = {
            hdr.ipv4.src: exact @name("address");
            hdr.ipv4.protocol: exact @name("protocol");
            meta.client_port: exact @name("port");
        }
        actions = { set_origin; NoAction; }
        const default_action = NoAction();
        size = MAX_SERVICES;
    }

    // What a binding means today. Changing one row moves every connection of a failed router at once, to its shadow or,
    // by connection, to several.
    @name(".steer") action steer(label_t label, mac_t mac) {
        meta.label = label;
        hdr.ethernet.dst = mac;
        hdr.ethernet.src = meta.node.mac;
    }
    @name(".no_target") action no_target() {
        drops.count(DROP_NO_TARGET);
        mark_to_drop(std);
        meta.done = 1;
    }
    @name(".target_members") action_selector(HashAlgorithm.identity, 32w16384, 32w32) target_members;
    @name(".binding_targets") table binding_targets {
        key = { meta.binding: exact @name("binding"); meta.choice: selector; }
        actions = { steer; no_target; }
        implementation = target_members;
        size = MAX_LABELS;
    }

    Connections() connections;

    // The SYN that is beyond capacity goes back as a reset (RFC 9293, 3.10.7.1).
    action refuse() {
        ipv4_t client = hdr.ipv4.src;
        hdr.ipv4.src = hdr.ipv4.dst;
        hdr.ipv4.dst = client;
        hdr.ipv4.version = 4;
        hdr.ipv4.ihl = 5;
        hdr.ipv4.tos = 0;
        hdr.ipv4.total_len = 40;
        hdr.ipv4.identification = 0;
        hdr.ipv4.flags = 2;                  // do not fragment
        hdr.ipv4.ttl = DEFAULT_TTL + 1;      // decremented by the route
        hdr.ipv4_options.setInvalid();
        bit<16> port = hdr.tcp.src_port;
        hdr.tcp.src_port = hdr.tcp.dst_port;
        hdr.tcp.dst_port = port;
        hdr.tcp.acknowledgement = hdr.tcp.sequence + 1;   // the SYN; data with it stays unacknowledged
        hdr.tcp.sequence = 0;
        hdr.tcp.data_offset = 5;
        hdr.tcp.reserved = 0;
        hdr.tcp.flags = TCP_RST | TCP_ACK;
        hdr.tcp.window = 0;
        hdr.tcp.urgent = 0;
    }

    apply {
        if (hdr.tcp.isValid()) {
            meta.client_port = hdr.tcp.src_port;
            meta.service_port = hdr.tcp.dst_port;
            if ((hdr.tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN) { meta.opens = 1; }
        } else {
            meta.client_port = hdr.udp.src_port;
            meta.service_port = hdr.udp.dst_port;
            meta.opens = 1;
        }
        meta.client = hdr.ipv4.src;
        meta.address = hdr.ipv4.dst;
        bool ours = meta.probing == 1;       // a probe does what a packet of a connection would
        if (ours) {
            meta.opens = 0;
        } else {
            ours = services.apply().hit;
        }
        if (!ours && hdr.tcp.isValid() && (hdr.tcp.flags & TCP_RST) != 0) {
            ours = origins.apply().hit;
            if (ours) {
                meta.reversed = 1;
                bit<16> port = meta.client_port;
                meta.client_port = meta.service_port;
                meta.service_port = port;
                meta.client = hdr.ipv4.dst;
                meta.address = hdr.ipv4.src;
            }
        }
        if (ours) {
            connections.apply(hdr, meta, std);
            if (meta.is_reset == 1) {
                if (hdr.tcp.isValid()) {
                    refuse();
                    truncate(14 + 4 + 40);
                } else {
                    drops.count(DROP_REFUSED);
                    mark_to_drop(std);
                    meta.is_reset = 0;
                    meta.done = 1;
                }
            } else if (meta.reversed == 0 && meta.probing == 0) {
                meta.choice = (bit<32>)meta.signature[31:8];     // other bits than those that choose the path
                if (!binding_targets.apply().hit) { no_target(); }
            }
        }
    }
}
