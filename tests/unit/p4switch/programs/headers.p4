// The parser: masks, lookahead, stacks, unions, varbit, advance, verify, errors; and what the deparser makes of it.
#include <core.p4>
#include <v1model.p4>

error { BadTag }
header ethernet_t { bit<48> dst; bit<48> src; bit<16> type; }
header vlan_t { bit<3> pcp; bit<1> dei; bit<12> vid; bit<16> type; }
header mpls_t { bit<20> label; bit<3> tc; bit<1> bottom; bit<8> ttl; }
header ipv4_t {
    bit<4> version; bit<4> ihl; bit<8> tos; bit<16> len; bit<16> id; bit<3> flags; bit<13> frag;
    bit<8> ttl; bit<8> protocol; bit<16> checksum; bit<32> src; bit<32> dst;
}
header options_t { varbit<320> data; }
header small_t { bit<8> tag; bit<8> x; }
header large_t { bit<8> tag; bit<24> y; }
header_union choice_t { small_t small; large_t large; }
header trailer_t { bit<8> error_code; bit<8> depth; bit<8> top; }
struct headers_t {
    ethernet_t ethernet; vlan_t[2] vlan; mpls_t[3] mpls; ipv4_t ipv4; options_t options;
    choice_t[2] choice; choice_t single; trailer_t trailer;
}
struct meta_t { bit<8> depth; bit<8> peeked; }

parser P(packet_in p, out headers_t h, inout meta_t m, inout standard_metadata_t s) {
    state start { p.extract(h.ethernet); transition select(h.ethernet.type) {
        0x8100 &&& 0xEFFF: vlan; 0x8847: mpls; 0x0800: ipv4; 0x1234: skip; 0x4321: choices; 0x4322: single; default: accept; } }
    state vlan { p.extract(h.vlan.next); transition select(h.vlan.last.type) {
        0x8100: vlan; 0x8847: mpls; 0x0800: ipv4; default: accept; } }
    state mpls { p.extract(h.mpls.next); m.depth = m.depth + 1; transition select(h.mpls.last.bottom, p.lookahead<bit<4>>()) {
        (0, _): mpls; (1, 4): ipv4; default: accept; } }
    state ipv4 {
        p.extract(h.ipv4);
        verify(h.ipv4.version == 4, error.BadTag);
        verify(h.ipv4.ihl >= 5, error.HeaderTooShort);
        transition select(h.ipv4.ihl) { 5: accept; default: options; }
    }
    state options { p.extract(h.options, ((bit<32>)h.ipv4.ihl - 5) * 32); transition accept; }
    state skip { p.advance((bit<32>)(p.lookahead<bit<8>>()) * 8); transition accept; }
    state choices { m.peeked = p.lookahead<bit<8>>(); transition select(m.peeked) { 1: small; 2: large; default: accept; } }
    state small { p.extract(h.choice.next.small); transition choices; }
    state single { transition select(p.lookahead<bit<8>>()) { 1: single_small; default: single_large; } }
    state single_small { p.extract(h.single.small); transition accept; }
    state single_large { p.extract(h.single.large); transition accept; }
    state large { p.extract(h.choice.next.large); transition choices; }
}
control V(inout headers_t h, inout meta_t m) { apply { } }
control I(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    apply {
        h.trailer.setValid();
        h.trailer.depth = m.depth;
        if (s.parser_error == error.NoError) { h.trailer.error_code = 0; }
        else if (s.parser_error == error.PacketTooShort) { h.trailer.error_code = 1; }
        else if (s.parser_error == error.StackOutOfBounds) { h.trailer.error_code = 3; }
        else if (s.parser_error == error.HeaderTooShort) { h.trailer.error_code = 4; }
        else if (s.parser_error == error.BadTag) { h.trailer.error_code = 100; }
        else { h.trailer.error_code = 255; }
        if (h.ethernet.dst == 1) { h.mpls.push_front(1); h.mpls[0].setValid(); h.mpls[0] = { 77, 1, 1, 9 }; }
        else if (h.ethernet.dst == 2) { h.mpls.pop_front(1); }
        else if (h.ethernet.dst == 3) { h.mpls[2] = h.mpls[0]; h.vlan[0].setInvalid(); }
        else if (h.ethernet.dst == 4) { h.vlan[1] = h.vlan[0]; h.vlan[1].vid = 5; }
        else if (h.ethernet.dst == 5) { h.ipv4.ttl = h.ipv4.ttl - 1; h.ipv4.src = h.ipv4.dst; }
        else if (h.ethernet.dst == 6) { h.choice[0].small.setValid(); h.choice[0].small.tag = 1; }
        else if (h.ethernet.dst == 7) { h.options.setInvalid(); h.ipv4.ihl = 5; }
        else if (h.ethernet.dst == 8) { if (h.mpls[0] == h.mpls[1]) { h.trailer.top = 8; } }
        if (h.single.isValid()) { h.trailer.top = h.trailer.top + 4; }
        if (h.ethernet.dst == 9) { h.single.small.setValid(); h.single.small.x = 7; }
        if (h.choice[0].small.isValid()) { h.trailer.top = h.trailer.top + 1; }
        if (h.choice[1].large.isValid()) { h.trailer.top = h.trailer.top + 2; }
        s.egress_spec = 3;
    }
}
control E(inout headers_t h, inout meta_t m, inout standard_metadata_t s) { apply { } }
control C(inout headers_t h, inout meta_t m) { apply { } }
control D(packet_out p, in headers_t h) { apply {
    p.emit(h.trailer); p.emit(h.ethernet); p.emit(h.vlan); p.emit(h.mpls); p.emit(h.ipv4); p.emit(h.options); p.emit(h.choice); p.emit(h.single); } }
V1Switch(P(), V(), I(), E(), C(), D()) main;
