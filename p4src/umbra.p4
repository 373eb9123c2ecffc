// umbra's data plane: one program for edges, spines and service routers. What a node is, its tables say.
#include <core.p4>
#include <v1model.p4>

#include "include/constants.p4"
#include "include/headers.p4"
#include "include/parser.p4"
#include "include/state.p4"
#include "include/lookup.p4"
#include "include/connections.p4"
#include "include/services.p4"
#include "include/records.p4"
#include "include/replicas.p4"
#include "include/probes.p4"
#include "include/scan.p4"
#include "include/arp.p4"
#include "include/nat.p4"
#include "include/forwarding.p4"

@name("ingress")
control UmbraIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    @name(".ports_in") counter(MAX_PORTS, CounterType.packets_and_bytes) ports_in;

    @name(".configure") action configure(mac_t mac, label_t label, bit<16> index_mask, bit<32> capacity,
            tick_t established_idle, tick_t datagram_idle, tick_t opening_idle, tick_t linger, bit<32> sample_mask,
            tick_t refresh_mask, bit<1> replicate, bit<1> translate) {
        meta.node = { mac, label, index_mask, capacity, established_idle, datagram_idle, opening_idle, linger,
            sample_mask, refresh_mask, replicate, translate };
    }
    @name(".node") table node {
        actions = { configure; NoAction; }
        default_action = NoAction();
    }

    // Ports where other switches of the fabric are. Labels, records and probes are believed from nobody else.
    action untrusted() {
        drops.count(DROP_UNTRUSTED);
        mark_to_drop(std);
        meta.done = 1;
    }
    @name(".trust") action trust() {}
    @name(".trusted_ports") table trusted_ports {
        key = { std.ingress_port: exact @name("port"); }
        actions = { trust; untrusted; }
        const default_action = untrusted();
        size = MAX_PORTS;
    }

    Scan() scan;
    Replicas() replicas;
    ProbeSent() probe_sent;
    ProbeBack() probe_back;
    Arp() arp;
    Nat() nat;
    Services() services;
    Routes() routes;
    Labels() labels;

    action malformed() {
        drops.count(DROP_MALFORMED);
        mark_to_drop(std);
        meta.done = 1;
    }
    action too_old() {
        drops.count(DROP_TTL);
        mark_to_drop(std);
        meta.done = 1;
    }

    apply {
        ports_in.count((bit<32>)std.ingress_port);
        node.apply();
        if (hdr.packet_out.isValid()) {
            if (hdr.packet_out.kind == OUT_SCAN) {
                scan.apply(hdr, meta, std);
            } else if (hdr.packet_out.kind == OUT_PROBE) {
                probe_sent.apply(hdr, meta, std);
            } else {
                std.egress_spec = hdr.packet_out.egress_port;
                hdr.packet_out.setInvalid();
                meta.done = 1;
            }
        } else if (std.parser_error != error.NoError || std.checksum_error == 1) {
            malformed();
        } else if (hdr.arp.isValid()) {
            arp.apply(hdr, meta, std);
        } else if (hdr.mpls.isValid()) {
            trusted_ports.apply();
            meta.label = (label_t)hdr.mpls.label;
            if (meta.done == 1) {
                // dropped
            } else if (hdr.mpls.ttl <= 1) {
                too_old();
            } else if (meta.label != meta.node.label) {
                // passes by
            } else if (hdr.mpls_inner.isValid()) {
                // The first of two labels: a probe does its work here, and goes on.
                if (hdr.probe.isValid()) { meta.probing = 1; }
                hdr.mpls_inner.ttl = hdr.mpls.ttl;
                hdr.mpls = hdr.mpls_inner;
                hdr.mpls_inner.setInvalid();
                meta.label = (label_t)hdr.mpls.label;
            } else if (hdr.record.isValid()) {
                replicas.apply(hdr, meta, std);
            } else if (hdr.probe.isValid()) {
                probe_back.apply(hdr, meta, std);
            } else if (hdr.ipv4.isValid()) {
                hdr.mpls.setInvalid();
                hdr.ethernet.type = ETHERTYPE_IPV4;
                meta.label = 0;
            }
        } else if (hdr.record.isValid() || hdr.probe.isValid()) {
            untrusted();
        }

        if (meta.done == 0 && (meta.label == 0 || meta.probing == 1)) {
            if (!hdr.ipv4.isValid()) {
                malformed();
            } else if (hdr.ipv4.ttl <= 1) {
                too_old();
            } else {
                if (hdr.tcp.isValid() || hdr.udp.isValid()) {
                    services.apply(hdr, meta, std);
                }
                if (meta.done == 0 && meta.probing == 0) {
                    hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
                    if (meta.label == 0) {
                        if (meta.node.translate == 1) { nat.apply(hdr); }
                        routes.apply(hdr, meta, std);
                    }
                }
            }
        }
        if (meta.done == 0) {
            labels.apply(hdr, meta, std);
        }
        if (meta.record_kind != RECORD_NONE) {
            clone_preserving_field_list(CloneType.I2E, (bit<32>)meta.record_session, 1);
        }
    }
}

@name("egress")
control UmbraEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    @name(".ports_out") counter(MAX_PORTS, CounterType.packets_and_bytes) ports_out;
    Records() records;
    apply {
        if (meta.recirculate == 1) {
            recirculate_preserving_field_list(0);
        } else {
            if (std.instance_type == 1) {              // PKT_INSTANCE_TYPE_INGRESS_CLONE
                records.apply(hdr, meta, std);
            } else if (std.instance_type == 5) {       // PKT_INSTANCE_TYPE_REPLICATION: one of a burst
                hdr.probe.copy = std.egress_rid;
            }
            ports_out.count((bit<32>)std.egress_port);
        }
    }
}

V1Switch(UmbraParser(), UmbraVerifyChecksum(), UmbraIngress(), UmbraEgress(), UmbraComputeChecksum(), UmbraDeparser()) main;
