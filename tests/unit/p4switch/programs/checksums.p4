// Checksums verified and updated, with conditions and with the payload.
#include <core.p4>
#include <v1model.p4>

header ipv4_t {
    bit<4> version; bit<4> ihl; bit<8> tos; bit<16> len; bit<16> id; bit<3> flags; bit<13> frag;
    bit<8> ttl; bit<8> protocol; bit<16> checksum; bit<32> src; bit<32> dst;
}
header options_t { varbit<320> data; }
header udp_t { bit<16> src; bit<16> dst; bit<16> len; bit<16> checksum; }
struct headers_t { ipv4_t ipv4; options_t options; udp_t udp; }
struct meta_t { bit<16> udp_len; }

parser P(packet_in p, out headers_t h, inout meta_t m, inout standard_metadata_t s) {
    state start { p.extract(h.ipv4); p.extract(h.options, ((bit<32>)h.ipv4.ihl - 5) << 5);
        transition select(h.ipv4.protocol) { 17: udp; default: accept; } }
    state udp { p.extract(h.udp); m.udp_len = h.udp.len; transition accept; }
}
control V(inout headers_t h, inout meta_t m) {
    apply {
        verify_checksum(true, { h.ipv4.version, h.ipv4.ihl, h.ipv4.tos, h.ipv4.len, h.ipv4.id, h.ipv4.flags, h.ipv4.frag,
            h.ipv4.ttl, h.ipv4.protocol, h.ipv4.src, h.ipv4.dst, h.options.data }, h.ipv4.checksum, HashAlgorithm.csum16);
        verify_checksum_with_payload(h.udp.isValid() && h.udp.checksum != 0,
            { h.ipv4.src, h.ipv4.dst, 8w0, h.ipv4.protocol, m.udp_len, h.udp.src, h.udp.dst, h.udp.len },
            h.udp.checksum, HashAlgorithm.csum16);
    }
}
control I(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    apply {
        if (s.checksum_error == 1) { s.egress_spec = 5; } else { s.egress_spec = 4; }
        if (h.ipv4.tos == 1) { h.ipv4.ttl = h.ipv4.ttl - 1; }
        if (h.ipv4.tos == 2) { h.udp.dst = 0x9999; }
    }
}
control E(inout headers_t h, inout meta_t m, inout standard_metadata_t s) { apply { } }
control C(inout headers_t h, inout meta_t m) {
    apply {
        update_checksum(h.ipv4.tos != 7, { h.ipv4.version, h.ipv4.ihl, h.ipv4.tos, h.ipv4.len, h.ipv4.id, h.ipv4.flags,
            h.ipv4.frag, h.ipv4.ttl, h.ipv4.protocol, h.ipv4.src, h.ipv4.dst, h.options.data },
            h.ipv4.checksum, HashAlgorithm.csum16);
        update_checksum_with_payload(h.udp.isValid(),
            { h.ipv4.src, h.ipv4.dst, 8w0, h.ipv4.protocol, m.udp_len, h.udp.src, h.udp.dst, h.udp.len },
            h.udp.checksum, HashAlgorithm.csum16);
    }
}
control D(packet_out p, in headers_t h) { apply { p.emit(h.ipv4); p.emit(h.options); p.emit(h.udp); } }
V1Switch(P(), V(), I(), E(), C(), D()) main;
