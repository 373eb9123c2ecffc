// Conditions, returns, exits and loops inside actions; a parser loop without a stack; runtime stack indexes.
#include <core.p4>
#include <v1model.p4>

header order_t { bit<8> op; bit<8> n; bit<32> x; }
header tlv_t { bit<8> type; bit<8> value; }
header item_t { bit<8> v; }
header result_t { bit<32> y; bit<8> seen; }
struct headers_t { order_t order; tlv_t tlv; item_t[3] items; result_t result; }
struct meta_t { bit<8> seen; bit<32> y; }

parser P(packet_in p, out headers_t h, inout meta_t m, inout standard_metadata_t s) {
    state start { p.extract(h.order); transition select(h.order.op) { 9: items; default: tlvs; } }
    state items { p.extract(h.items.next); p.extract(h.items.next); p.extract(h.items.next); transition accept; }
    state tlvs { transition select(p.lookahead<bit<8>>()) { 0xFF: tlv; default: accept; } }
    state tlv { p.extract(h.tlv); m.seen = m.seen + h.tlv.value; transition tlvs; }
}
control V(inout headers_t h, inout meta_t m) { apply { } }
control I(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    action branches(bit<32> base) {
        if (h.order.x > 100) {
            m.y = base;
            if (h.order.x > 1000) { m.y = m.y + 1; return; }
            m.y = m.y + 2;
        } else if (h.order.x == 7) {
            exit;
        } else {
            m.y = h.order.x;
        }
        m.y = m.y + 16;
    }
    action total() {
        bit<32> sum = 0;
        for (bit<32> i = 0; i < h.order.x; i = i + 1) {
            if (i == 3) { continue; }
            if (sum > 50) { break; }
            sum = sum + i;
        }
        m.y = sum;
    }
    table t { key = { h.order.op: exact; } actions = { branches; total; NoAction; } default_action = branches(500); }
    apply {
        s.egress_spec = 7;
        h.result.setValid();
        h.result.y = 0xAAAA;
        if (h.order.op == 9) {
            m.y = (bit<32>)h.items[h.order.n].v;
            h.items[h.order.n].v = 0x55;
        } else {
            t.apply();
        }
        h.result.y = m.y;
        h.result.seen = m.seen;
    }
}
control E(inout headers_t h, inout meta_t m, inout standard_metadata_t s) { apply { } }
control C(inout headers_t h, inout meta_t m) { apply { } }
control D(packet_out p, in headers_t h) { apply { p.emit(h.result); p.emit(h.items); p.emit(h.tlv); } }
V1Switch(P(), V(), I(), E(), C(), D()) main;
