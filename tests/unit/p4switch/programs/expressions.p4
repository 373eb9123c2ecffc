// Arithmetic of every kind on two operands: each packet asks for all results at once.
#include <core.p4>
#include <v1model.p4>

header operands_t { bit<32> a; bit<32> b; int<16> c; int<16> d; bit<8> n; bit<7> e; bit<9> f; }
header results_t {
    bit<32> add; bit<32> sub; bit<32> mul; bit<32> and_; bit<32> or_; bit<32> xor_; bit<32> neg; bit<32> not_;
    bit<32> shl; bit<32> shr; bit<32> addsat; bit<32> subsat; bit<32> div; bit<32> mod;
    int<16> sadd; int<16> ssub; int<16> smul; int<16> saddsat; int<16> ssubsat; int<16> sneg; int<16> sshr; int<16> sshl;
    bit<16> concat; bit<8> slice; bit<32> sliced; int<32> extended; bit<8> narrowed; bit<32> widened;
    bit<1> lt; bit<1> le; bit<1> eq; bit<1> slt; bit<1> sge; bit<1> mux; bit<2> logic;
    bit<64> wide;
}
struct headers_t { operands_t in_; results_t out_; }
struct meta_t { bit<1> unused; }

parser P(packet_in p, out headers_t h, inout meta_t m, inout standard_metadata_t s) {
    state start { p.extract(h.in_); transition accept; }
}
control V(inout headers_t h, inout meta_t m) { apply { } }
control I(inout headers_t h, inout meta_t m, inout standard_metadata_t s) {
    apply {
        h.out_.setValid();
        h.out_.add = h.in_.a + h.in_.b;
        h.out_.sub = h.in_.a - h.in_.b;
        h.out_.mul = h.in_.a * h.in_.b;
        h.out_.and_ = h.in_.a & h.in_.b;
        h.out_.or_ = h.in_.a | h.in_.b;
        h.out_.xor_ = h.in_.a ^ h.in_.b;
        h.out_.neg = -h.in_.a;
        h.out_.not_ = ~h.in_.a;
        h.out_.shl = h.in_.a << h.in_.n;
        h.out_.shr = h.in_.a >> h.in_.n;
        h.out_.addsat = h.in_.a |+| h.in_.b;
        h.out_.subsat = h.in_.a |-| h.in_.b;
        h.out_.div = h.in_.a >> 3;
        h.out_.mod = h.in_.a & 7;
        h.out_.sadd = h.in_.c + h.in_.d;
        h.out_.ssub = h.in_.c - h.in_.d;
        h.out_.smul = h.in_.c * h.in_.d;
        h.out_.saddsat = h.in_.c |+| h.in_.d;
        h.out_.ssubsat = h.in_.c |-| h.in_.d;
        h.out_.sneg = -h.in_.c;
        h.out_.sshr = h.in_.c >> h.in_.n;
        h.out_.sshl = h.in_.c << 3;
        h.out_.concat = h.in_.e ++ h.in_.f;
        h.out_.slice = h.in_.a[27:20];
        h.out_.sliced = h.in_.b;
        h.out_.sliced[15:8] = h.in_.n;
        h.out_.extended = (int<32>)h.in_.c;
        h.out_.narrowed = (bit<8>)h.in_.a;
        h.out_.widened = (bit<32>)h.in_.f;
        h.out_.lt = (bit<1>)(h.in_.a < h.in_.b);
        h.out_.le = (bit<1>)(h.in_.a <= h.in_.b);
        h.out_.eq = (bit<1>)(h.in_.a == h.in_.b);
        h.out_.slt = (bit<1>)(h.in_.c < h.in_.d);
        h.out_.sge = (bit<1>)(h.in_.c >= h.in_.d);
        h.out_.mux = (h.in_.a > h.in_.b) ? 1w1 : 1w0;
        bool p = h.in_.a != 0;
        bool q = h.in_.b != 0;
        h.out_.logic = (bit<1>)(p && q) ++ (bit<1>)(p || !q);
        h.out_.wide = (h.in_.a ++ h.in_.b) + 64w1;
        s.egress_spec = 1;
    }
}
control E(inout headers_t h, inout meta_t m, inout standard_metadata_t s) { apply { } }
control C(inout headers_t h, inout meta_t m) { apply { } }
control D(packet_out p, in headers_t h) { apply { p.emit(h.out_); } }
V1Switch(P(), V(), I(), E(), C(), D()) main;
