// A program with one of everything that P4Runtime can configure. Used by the tests of the server.
#include <core.p4>
#include <v1model.p4>

#define CPU_PORT 510

@controller_header("packet_in")
header packet_in_t {
    bit<9> ingress_port;
    bit<7> _pad;
    bit<16> reason;
}

@controller_header("packet_out")
header packet_out_t {
    bit<9> egress_port;
    bit<7> _pad;
}

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> type;
}

header ipv4_t {
    bit<4> version;
    bit<4> ihl;
    bit<8> tos;
    bit<16> len;
    bit<16> id;
    bit<16> frag;
    bit<8> ttl;
    bit<8> proto;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

struct headers_t {
    packet_in_t packet_in;
    packet_out_t packet_out;
    ethernet_t ethernet;
    ipv4_t ipv4;
}

struct learn_t {
    bit<48> mac;
    bit<9> port;
}

struct meta_t {
    bit<2> color;
}

parser P(packet_in pkt, out headers_t h, inout meta_t m, inout standard_metadata_t s) {
    state start {
        transition select(s.ingress_port) {
            CPU_PORT: from_cpu;
            default: ethernet;
        }
    }
    state from_cpu {
        pkt.extract(h.packet_out);
        transition ethernet;
    }
    state ethernet {
        pkt.extract(h.ethernet);
        transition select(h.ethernet.type) {
            0x0800: ipv4;
            default: accept;
        }
    }
    state ipv4 {
        pkt.extract(h.ipv4);
        transition accept;
    }
}

control Verify(inout headers_t h, inout meta_t m) { apply { } }

control I(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    counter(16, CounterType.packets_and_bytes) port_counter;
    meter(8, MeterType.bytes) port_meter;
    register<bit<48>>(32) last_src;
    direct_counter(CounterType.packets_and_bytes) l2_counter;
    direct_meter<bit<2>>(MeterType.packets) route_meter;
    @max_group_size(128)
    action_selector(HashAlgorithm.crc16, 32w256, 32w16) balancer;

    action forward(bit<9> port) { s.egress_spec = port; }
    action broadcast(bit<16> group) { s.mcast_grp = group; }
    action drop() { mark_to_drop(s); }
    action mirror(bit<9> port) { s.egress_spec = port; clone(CloneType.I2E, 5); }
    action l2_forward(bit<9> port) { l2_counter.count(); s.egress_spec = port; }
    action l2_miss() { l2_counter.count(); digest<learn_t>(1, { h.ethernet.src, s.ingress_port }); }
    action to_cpu(bit<16> reason) {
        s.egress_spec = CPU_PORT;
        h.packet_in.setValid();
        h.packet_in.ingress_port = s.ingress_port;
        h.packet_in._pad = 0;
        h.packet_in.reason = reason;
    }
    action route(bit<48> dst, bit<9> port) {
        route_meter.read(m.color);
        h.ethernet.dst = dst;
        s.egress_spec = port;
    }

    table l2 {
        key = { h.ethernet.dst: exact; }
        actions = { l2_forward; broadcast; to_cpu; @defaultonly l2_miss; }
        default_action = l2_miss();
        counters = l2_counter;
        size = 70000;
        support_timeout = true;
    }
    table routes {
        key = { h.ipv4.dst: lpm; }
        actions = { route; @tableonly drop; NoAction; }
        default_action = NoAction();
        meters = route_meter;
        size = 128;
    }
    table acl {
        key = {
            h.ethernet.src: ternary;
            h.ethernet.type: optional;
            s.ingress_port: range;
        }
        actions = { drop; to_cpu; mirror; NoAction; }
        const default_action = NoAction();
        size = 64;
    }
    table balance {
        key = {
            h.ipv4.proto: exact;
            h.ipv4.src: selector;
            h.ipv4.dst: selector;
        }
        actions = { forward; NoAction; }
        implementation = balancer;
        size = 16;
    }
    table fixed {
        key = { h.ethernet.type: exact; }
        actions = { forward; NoAction; }
        const default_action = NoAction();
        const entries = { 0x88cc: forward(7); }
    }

    apply {
        if (h.packet_out.isValid()) {
            s.egress_spec = h.packet_out.egress_port;
            h.packet_out.setInvalid();
            exit;
        }
        port_counter.count((bit<32>)s.ingress_port);
        port_meter.execute_meter((bit<32>)s.ingress_port, m.color);
        last_src.write((bit<32>)s.ingress_port, h.ethernet.src);
        l2.apply();
        if (h.ipv4.isValid()) {
            routes.apply();
            balance.apply();
        }
        fixed.apply();
        acl.apply();
    }
}

control E(inout headers_t h, inout meta_t m, inout standard_metadata_t s) { apply { } }
control Compute(inout headers_t h, inout meta_t m) { apply { } }

control D(packet_out pkt, in headers_t h) {
    apply {
        pkt.emit(h.packet_in);
        pkt.emit(h.ethernet);
        pkt.emit(h.ipv4);
    }
}

V1Switch(P(), Verify(), I(), E(), Compute(), D()) main;
