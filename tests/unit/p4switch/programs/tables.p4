// Every match kind, const entries, hit and miss, action_run, direct counters and meters, idle time-outs.
#include <core.p4>
#include <v1model.p4>

header key_t { bit<8> kind; bit<32> a; bit<16> b; bit<8> c; }
header result_t { bit<16> value; bit<8> how; bit<8> colour; }
struct headers_t { key_t key; result_t result; }
struct meta_t { bit<8> colour; }

parser P(packet_in p, out headers_t h, inout meta_t m, inout standard_metadata_t s) {
    state start { p.extract(h.key); transition accept; }
}
control V(inout headers_t h, inout meta_t m) { apply { } }
control I(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    direct_counter(CounterType.packets_and_bytes) hits;
    direct_meter<bit<8>>(MeterType.packets) rate;
    action set_value(bit<16> value) { h.result.value = value; }
    action set_exact(bit<16> value) { h.result.value = value; hits.count(); }
    action none() { h.result.value = 0xFFFF; }
    action set_metered(bit<16> value) { h.result.value = value; rate.read(m.colour); }
    action left() { h.result.how = 1; }
    action right(bit<8> n) { h.result.how = n; }
    table exact_one { key = { h.key.a: exact; } actions = { set_exact; none; } default_action = none(); counters = hits; size = 8; }
    table exact_two { key = { h.key.a: exact; h.key.b: exact; } actions = { set_value; none; } const default_action = none(); support_timeout = true; }
    table by_prefix { key = { h.key.a: lpm; } actions = { set_value; none; } default_action = none(); }
    table exact_prefix { key = { h.key.c: exact; h.key.a: lpm; } actions = { set_value; none; } default_action = none(); }
    table by_mask { key = { h.key.a: ternary; h.key.b: ternary; } actions = { set_value; none; } default_action = none(); }
    table by_range { key = { h.key.b: range; h.key.c: exact; } actions = { set_value; none; } default_action = none(); }
    table by_optional { key = { h.key.a: optional; h.key.b: optional; } actions = { set_value; none; } default_action = none(); }
    table mixed { key = { h.key.a: lpm; h.key.b: ternary; h.key.c: exact; } actions = { set_value; none; } default_action = none(); }
    table constant {
        key = { h.key.a: ternary; h.key.c: exact; }
        actions = { set_value; none; }
        default_action = none();
        const entries = {
            (0x01000000 &&& 0xFF000000, 1): set_value(1);
            (_, 1): set_value(2);
            (0x02030405, 2): set_value(3);
        }
    }
    table metered { key = { h.key.a: exact; } actions = { set_metered; none; } default_action = none(); meters = rate; }
    table switched { key = { h.key.a: exact; } actions = { left; right; NoAction; } default_action = NoAction(); }
    apply {
        h.result.setValid();
        m.colour = 9;
        if (h.key.kind == 1) { if (exact_one.apply().hit) { h.result.how = 1; } else { h.result.how = 2; } }
        else if (h.key.kind == 2) { if (!exact_two.apply().hit) { h.result.how = 7; } }
        else if (h.key.kind == 3) { by_prefix.apply(); }
        else if (h.key.kind == 4) { exact_prefix.apply(); }
        else if (h.key.kind == 5) { by_mask.apply(); }
        else if (h.key.kind == 6) { by_range.apply(); }
        else if (h.key.kind == 7) { by_optional.apply(); }
        else if (h.key.kind == 8) { mixed.apply(); }
        else if (h.key.kind == 9) { constant.apply(); }
        else if (h.key.kind == 10) { metered.apply(); h.result.colour = m.colour; }
        else if (h.key.kind == 11) {
            switch (switched.apply().action_run) {
                left: { h.result.value = 1; }
                right: { h.result.value = 2; }
                default: { h.result.value = 3; }
            }
        }
        else { mark_to_drop(s); exit; }
        s.egress_spec = 2;
    }
}
control E(inout headers_t h, inout meta_t m, inout standard_metadata_t s) { apply { } }
control C(inout headers_t h, inout meta_t m) { apply { } }
control D(packet_out p, in headers_t h) { apply { p.emit(h.key); p.emit(h.result); } }
V1Switch(P(), V(), I(), E(), C(), D()) main;
