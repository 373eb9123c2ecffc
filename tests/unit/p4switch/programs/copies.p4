// Clones, replicas, passes again: what each copy carries is written into the packet.
#include <core.p4>
#include <v1model.p4>

header order_t { bit<8> op; bit<16> arg; bit<8> passes; }
header report_t {
    bit<8> instance; bit<16> ingress_port; bit<16> egress_port; bit<16> rid; bit<32> length; bit<16> kept; bit<16> lost;
    bit<8> had_time;
}
struct headers_t { report_t report; order_t order; }
struct meta_t { @field_list(1, 2) bit<16> kept; bit<16> lost; @field_list(2) bit<8> count; }
struct seen_t { bit<8> op; bit<16> arg; bit<9> port; }

parser P(packet_in p, out headers_t h, inout meta_t m, inout standard_metadata_t s) {
    state start { p.extract(h.order); transition accept; }
}
control V(inout headers_t h, inout meta_t m) { apply { } }
control I(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    apply {
        bit<16> before = m.kept;
        m.kept = h.order.arg;
        m.lost = 0x1111;
        s.egress_spec = 1;
        if (h.order.op == 1) { clone_preserving_field_list(CloneType.I2E, (bit<32>)h.order.arg, 1); h.order.op = 21; }
        else if (h.order.op == 2) { clone(CloneType.I2E, (bit<32>)h.order.arg); mark_to_drop(s); }
        else if (h.order.op == 3) { s.mcast_grp = h.order.arg; }
        else if (h.order.op == 4) {
            if (s.instance_type == 6) { m.lost = before; m.count = m.count + 1; h.order.passes = m.count; }
            else { m.count = 5; resubmit_preserving_field_list(2); }
        }
        else if (h.order.op == 5) { truncate((bit<32>)h.order.arg); }
        else if (h.order.op == 6) { digest<seen_t>(1, { h.order.op, h.order.arg, s.ingress_port }); }
        else if (h.order.op == 7) { mark_to_drop(s); }
        else if (h.order.op == 8 && s.instance_type == 4) { m.lost = before; h.order.op = 28; }
        else if (h.order.op == 13) { s.priority = 1; }
        else if (h.order.op == 14) { assert(h.order.arg == 0); }
        if (h.order.op == 12 && s.ingress_port == 9) { exit; }
        if (s.ingress_global_timestamp != 0) { h.order.passes = h.order.passes + 16; }
    }
}
control E(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    apply {
        if (h.order.op == 8) {
            h.order.passes = h.order.passes + 1;
            m.kept = 0x2222;
            recirculate_preserving_field_list(1);
        } else {
            if (h.order.op == 9 && s.instance_type == 0) {
                h.order.op = 29;
                clone_preserving_field_list(CloneType.E2E, (bit<32>)h.order.arg, 1);
            }
            if (h.order.op == 10) { mark_to_drop(s); }
            h.report.setValid();
            h.report.instance = (bit<8>)s.instance_type;
            h.report.ingress_port = (bit<16>)s.ingress_port;
            h.report.egress_port = (bit<16>)s.egress_port;
            h.report.rid = s.egress_rid;
            h.report.length = s.packet_length;
            h.report.kept = m.kept;
            h.report.lost = m.lost;
            h.report.had_time = (bit<8>)(bit<1>)(s.ingress_global_timestamp != 0);
        }
    }
}
control C(inout headers_t h, inout meta_t m) { apply { } }
control D(packet_out p, in headers_t h) { apply { p.emit(h.report); p.emit(h.order); } }
V1Switch(P(), V(), I(), E(), C(), D()) main;
