// Registers, indirect counters and meters, hashes, random numbers, selectors and profiles.
#include <core.p4>
#include <v1model.p4>

header order_t { bit<8> op; bit<32> index; bit<64> value; bit<12> odd; bit<4> rest; }
header result_t { bit<64> value; bit<16> member; }
struct headers_t { order_t order; result_t result; }
struct meta_t { bit<16> member; }

parser P(packet_in p, out headers_t h, inout meta_t m, inout standard_metadata_t s) {
    state start { p.extract(h.order); transition accept; }
}
control V(inout headers_t h, inout meta_t m) { apply { } }
control I(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    register<bit<64>>(16) cells;
    counter(16, CounterType.packets_and_bytes) counts;
    meter(4, MeterType.bytes) rates;
    action_selector(HashAlgorithm.crc16, 32w128, 32w8) paths;
    action_profile(32w16) members;
    action go(bit<16> member) { m.member = member; }
    action pass() { m.member = 0; }
    table selected { key = { h.order.index: exact; h.order.value: selector; } actions = { go; pass; } implementation = paths; }
    table profiled { key = { h.order.index: exact; } actions = { go; pass; } implementation = members; }
    apply {
        h.result.setValid();
        bit<64> v = 5;
        bit<16> small = 0;
        bit<32> colour = 9;
        if (h.order.op == 1) { cells.read(v, h.order.index); }
        else if (h.order.op == 2) { cells.write(h.order.index, h.order.value); }
        else if (h.order.op == 3) { counts.count(h.order.index); }
        else if (h.order.op == 4) { rates.execute_meter(h.order.index, colour); v = (bit<64>)colour; }
        else if (h.order.op == 5) { hash(v, HashAlgorithm.crc16, 64w0, { h.order.index, h.order.value }, 64w0x10000); }
        else if (h.order.op == 6) { hash(v, HashAlgorithm.crc32, 64w0, { h.order.index, h.order.value, h.order.odd }, 64w0x100000000); }
        else if (h.order.op == 7) { hash(v, HashAlgorithm.xor16, 64w0, { h.order.index, h.order.value, 8w1 }, 64w0x10000); }
        else if (h.order.op == 8) { hash(v, HashAlgorithm.identity, 64w0, { h.order.value }, 64w0xFFFFFFFFFFFFFFFF); }
        else if (h.order.op == 9) { hash(v, HashAlgorithm.csum16, 64w0, { h.order.index, h.order.value }, 64w0x10000); }
        else if (h.order.op == 10) { hash(small, HashAlgorithm.crc16_custom, 16w100, { h.order.value }, 16w10); v = (bit<64>)small; }
        else if (h.order.op == 11) { hash(v, HashAlgorithm.crc32_custom, 64w0, { h.order.odd, h.order.rest }, 64w0x100000000); }
        else if (h.order.op == 12) { random(v, 64w10, 64w12); }
        else if (h.order.op == 13) { selected.apply(); }
        else if (h.order.op == 14) { profiled.apply(); }
        else if (h.order.op == 15) { hash(v, HashAlgorithm.identity, 64w3, { h.order.odd }, 64w0); }
        h.result.value = v;
        h.result.member = m.member;
        s.egress_spec = 6;
    }
}
control E(inout headers_t h, inout meta_t m, inout standard_metadata_t s) { apply { } }
control C(inout headers_t h, inout meta_t m) { apply { } }
control D(packet_out p, in headers_t h) { apply { p.emit(h.result); } }
V1Switch(P(), V(), I(), E(), C(), D()) main;
