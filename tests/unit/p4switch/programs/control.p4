// Control flow that meets and parts: shared switch blocks, exits deep inside, validity that only the packet knows.
#include <core.p4>
#include <v1model.p4>

header first_t { bit<8> op; bit<8> more; bit<32> x; bit<48> mac_a; bit<48> mac_b; }
header v6_t { bit<4> version; bit<8> tclass; bit<20> flow; bit<128> src; bit<128> dst; }
header extra_t { bit<8> kind; int<8> level; bit<16> word; }
header bag_t { bit<8> size; varbit<64> stuff; bit<8> end; }
header out_t { bit<32> a; bit<32> b; bit<32> length; bit<32> digest_; }
struct headers_t { out_t out_; first_t first; v6_t v6; extra_t extra; extra_t spare; bag_t bag; bag_t copy; }
struct meta_t { bit<32> a; bit<32> b; @field_list(1) bit<32> keep_one; @field_list(2) bit<32> keep_two; bit<1> flag; int<16> s; }

parser P(packet_in p, out headers_t h, inout meta_t m, inout standard_metadata_t s) {
    state start { p.extract(h.first); transition select(h.first.more) {
        0x01 &&& 0x01: v6; 0x02 &&& 0x02: extra; 0x04 &&& 0x04: bag; default: accept; } }
    state v6 { p.extract(h.v6); transition select(h.first.more & 6, p.lookahead<bit<16>>()) {
        (2, _): extra; (4, 0x0100 &&& 0xFF00): bag; (6, 0x1000 .. 0x1FFF): extra; default: accept; } }
    state extra { p.extract(h.extra); transition select(h.first.more & 4) { 4: bag; default: accept; } }
    state bag { p.extract(h.bag, (bit<32>)(p.lookahead<bit<8>>() & 7) * 8); transition accept; }
}
control V(inout headers_t h, inout meta_t m) { apply { } }
control I(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    action one(bit<32> n) { m.a = n; }
    action two() { m.a = 2; m.b = 1; }
    action three() { m.b = h.first.x; exit; }
    action four(bit<8> n) { h.extra.kind = n; m.flag = 1; }
    table t { key = { h.first.x: ternary; h.extra.isValid(): exact; } actions = { one; two; three; four; NoAction; } default_action = NoAction(); }
    table u { key = { h.extra.kind: exact; h.v6.src: lpm; } actions = { one; two; NoAction; } default_action = one(99); }
    table w { key = { m.flag: exact; h.extra.level: ternary; } actions = { one; two; NoAction; } const default_action = two(); }
    apply {
        s.egress_spec = 1;
        m.s = -5;
        if (h.first.op == 1) {
            switch (t.apply().action_run) {
                one: { m.b = m.b + 1; }
                two: { if (u.apply().hit) { m.b = m.b + 16; } else { m.b = m.b + 32; } }
                default: { m.b = m.b + 256; if (!w.apply().hit) { m.b = m.b + 512; } }
            }
            m.a = m.a + 1;
        } else if (h.first.op == 2) {
            if (h.first.x[0:0] == 1) { h.extra.setValid(); h.extra.word = 7; }
            if (h.first.x[1:1] == 1) { h.v6.setInvalid(); }
            if (h.first.x[2:2] == 1) { h.spare = h.extra; }
            if (h.first.x[3:3] == 1) { h.copy = h.bag; h.bag.setInvalid(); }
            if (h.first.x[4:4] == 1) { h.spare.setValid(); h.spare.level = h.extra.level + (int<8>)m.s; }
            if (h.spare.isValid() && h.extra.isValid()) { m.a = (bit<32>)h.spare.word; }
        } else if (h.first.op == 3) {
            bit<48> t1 = h.first.mac_a;
            h.first.mac_a = h.first.mac_b;
            h.first.mac_b = t1;
            bit<128> t2 = h.v6.src;
            h.v6.src = h.v6.dst;
            h.v6.dst = t2 + 1;
            h.v6.flow = h.v6.flow - 1;
        } else if (h.first.op == 4) {
            hash(m.a, HashAlgorithm.crc32, 32w0, { h.first.x, h.v6.src, h.extra.word }, 64w0x100000000);
            hash(m.b, HashAlgorithm.csum16, 32w0, { h.extra.kind, h.v6.flow, 4w1, h.extra.level }, 32w0x10000);
        } else if (h.first.op == 5) {
            m.keep_one = 111;
            m.keep_two = 222;
            if (h.first.x == 1) { clone_preserving_field_list(CloneType.I2E, 1, 1); }
            else if (h.first.x == 2) { clone_preserving_field_list(CloneType.I2E, 1, 2); }
            if (h.first.x > 4) { h.first.op = 55; }
        } else if (h.first.op == 6) {
            if (h.first.x > 10) { if (h.extra.isValid()) { exit; } m.a = 5; }
            m.b = 6;
            if (h.extra.level < 0 || h.extra.level > 100) { m.a = (bit<32>)(bit<8>)(h.extra.level |+| 8s100); }
        }
        if (m.b == 6) { m.a = m.a | 0x80; }
    }
}
control E(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    apply {
        h.out_.setValid();
        h.out_.a = m.a + m.keep_one;
        h.out_.b = m.b + m.keep_two;
        h.out_.length = s.packet_length;
        if (h.first.op == 7) { if (h.first.x == 0) { mark_to_drop(s); exit; } h.out_.a = 3; s.egress_spec = 9; }
        h.out_.digest_ = (bit<32>)s.egress_port;
    }
}
control C(inout headers_t h, inout meta_t m) { apply {
    update_checksum(h.extra.isValid() && m.flag == 1, { h.first.x, h.extra.kind, h.extra.level }, h.extra.word, HashAlgorithm.csum16);
} }
control D(packet_out p, in headers_t h) { apply { p.emit(h.out_); p.emit(h.first); p.emit(h.v6); p.emit(h.extra); p.emit(h.spare); p.emit(h.bag); p.emit(h.copy); } }
V1Switch(P(), V(), I(), E(), C(), D()) main;
