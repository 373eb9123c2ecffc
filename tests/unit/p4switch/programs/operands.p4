// Whole headers and varbit fields as operands, indexes that may be negative, replicas of headers with checksums.
#include <core.p4>
#include <v1model.p4>

header order_t { bit<8> op; int<8> index; }
header item_t { bit<8> size; varbit<32> data; }
header empty_t { }
header pair_t { bit<8> a; bit<8> b; }
header sum_t { bit<4> w; bit<4> x; bit<8> y; bit<16> checksum; bit<16> z; }
struct headers_t { order_t order; empty_t empty; sum_t sum; item_t one; item_t two; pair_t[3] pairs; pair_t last; }
struct meta_t { bit<1> unused; }

parser P(packet_in p, out headers_t h, inout meta_t m, inout standard_metadata_t s) {
    state start { p.extract(h.order); p.extract(h.empty); transition select(h.order.op) { 1: items; 4: sums; default: pairs; } }
    state items { p.extract(h.one, 16); p.extract(h.two, 16); transition accept; }
    state sums { p.extract(h.sum); transition accept; }
    state pairs { p.extract(h.pairs.next); p.extract(h.pairs.next); h.last = h.pairs.last; p.extract(h.pairs.next); transition accept; }
}
control V(inout headers_t h, inout meta_t m) { apply {
    verify_checksum(h.sum.isValid(), { h.sum.w, h.sum.x, h.sum.y, h.sum.z }, h.sum.checksum, HashAlgorithm.csum16); } }
control I(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    apply {
        s.egress_spec = 1;
        if (h.order.op == 1) {
            if (h.one.data == h.two.data) { s.egress_spec = 2; }
            if (h.one == h.two) { s.egress_spec = 3; }
        } else if (h.order.op == 2) {
            h.last = h.pairs[(bit<8>)h.order.index];
        } else if (h.order.op == 3) {
            h.pairs[0].a = h.pairs[(bit<8>)h.order.index].b;
        } else if (h.order.op == 4) {
            s.mcast_grp = (bit<16>)1 + (bit<16>)s.checksum_error;
        }
    }
}
control E(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    apply { if (h.sum.isValid()) { h.sum.z = s.egress_rid; } }
}
control C(inout headers_t h, inout meta_t m) { apply {
    update_checksum(h.sum.isValid(), { h.sum.w, h.sum.x, h.sum.y, h.sum.z }, h.sum.checksum, HashAlgorithm.csum16); } }
control D(packet_out p, in headers_t h) { apply { p.emit(h); } }
V1Switch(P(), V(), I(), E(), C(), D()) main;
