// Where a connection's entry is; and, if it has none, where it may have one.
#define IS_ITS(e) (SIGNATURE(e) == signature && STATE(e) != FREE)

control Lookup(in bit<32> signature, in node_t node, in tick_t now, in bit<1> wants_place,
        out entry_t entry, out place_t place, out bool known, out bool vacant) {
    Aging() aging_0;
    Aging() aging_1;
    Aging() aging_2;
    Aging() aging_3;
    apply {
        bit<16> mixed;
        hash(mixed, HashAlgorithm.crc16, 16w0, { signature }, 17w0x10000);
        bit<32> index_0 = (bit<32>)(signature[15:0] & node.index_mask);
        bit<32> index_1 = (bit<32>)(mixed & node.index_mask);
        bit<32> index_2 = (bit<32>)(signature[31:16] & node.index_mask);
        bit<32> index_3 = (bit<32>)((signature[23:8] ^ mixed) & node.index_mask);
        entry_t entry_1;
        entry_t entry_2;
        entry_t entry_3;
        known = false;
        vacant = false;          // the entry at `place` is free, or past its time
        place.way = 0;
        place.index = index_0;
        connections_0.read(entry, index_0);
        if (IS_ITS(entry)) {
            known = true;
        } else {
            connections_1.read(entry_1, index_1);
            connections_2.read(entry_2, index_2);
            connections_3.read(entry_3, index_3);
            if (IS_ITS(entry_1)) {
                known = true;
                place.way = 1;
                place.index = index_1;
                entry = entry_1;
            } else if (IS_ITS(entry_2)) {
                known = true;
                place.way = 2;
                place.index = index_2;
                entry = entry_2;
            } else if (IS_ITS(entry_3)) {
                known = true;
                place.way = 3;
                place.index = index_3;
                entry = entry_3;
            } else if (wants_place == 1) {
                aging_0.apply(entry, node, now, vacant);
                if (!vacant) {
                    aging_1.apply(entry_1, node, now, vacant);
                    place.way = 1;
                    place.index = index_1;
                    entry = entry_1;
                }
                if (!vacant) {
                    aging_2.apply(entry_2, node, now, vacant);
                    place.way = 2;
                    place.index = index_2;
                    entry = entry_2;
                }
                if (!vacant) {
                    aging_3.apply(entry_3, node, now, vacant);
                    place.way = 3;
                    place.index = index_3;
                    entry = entry_3;
                }
            }
        }
    }
}

control Store(in place_t place, in entry_t entry) {
    apply {
        if (place.way == 0) {
            connections_0.write(place.index, entry);
        } else if (place.way == 1) {
            connections_1.write(place.index, entry);
        } else if (place.way == 2) {
            connections_2.write(place.index, entry);
        } else {
            connections_3.write(place.index, entry);
        }
    }
}
