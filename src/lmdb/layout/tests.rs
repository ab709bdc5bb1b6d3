use super::*;

fn layouts() -> [Layout; 4] {
    MAGIC_PLACES.map(|(_, version, width)| Layout {
        version,
        width,
        order: ByteOrder::Little,
        page_size: PageSize::DEFAULT,
    })
}

#[test]
fn sizes_are_those_of_the_library() {
    // Header, base, record, end of the meta record, overflow reference, room, longest node and key.
    let expected = [
        [16, 0, 48, 16 + 136, 8, 4080, 2038, 511],
        [12, 0, 28, 12 + 80, 4, 4084, 2040, 511],
        [24, 24, 48, 24 + 136, 24, 4072, 2034, 1978],
        [16, 16, 28, 16 + 80, 12, 4080, 2038, 2002],
    ];
    for (layout, expected) in layouts().into_iter().zip(expected) {
        let found = [
            layout.header_len(),
            layout.base(),
            layout.record_len(),
            layout.meta_end(),
            layout.overflow_ref_len(),
            layout.room(),
            layout.node_max(),
            layout.longest_key(),
        ];
        assert_eq!(found, expected, "{layout:?}");
        assert!(layout.meta_end() <= HEAD_LEN);
    }
    assert_eq!(
        MAGIC_PLACES.map(|place| place.0),
        layouts().map(|l| l.header_len())
    );
}

#[test]
fn values_go_where_the_library_puts_them() {
    for (layout, key_len, most) in [(Layout::V1, 10, 2020), (Layout::V3, 9, 2016)] {
        assert!(layout.is_inline(key_len, most), "{layout:?}");
        assert!(!layout.is_inline(key_len, most + 1), "{layout:?}");
    }
    assert!(!Layout::V1.is_inline(60_000, 0));
    assert_eq!(Layout::V1.inline_node_space(3, 4), 2 + 16);
    assert_eq!(Layout::V3.inline_node_space(3, 4), 2 + 8 + 4 + 4);
    assert_eq!(Layout::V1.overflow_node_space(3), 2 + 20);
    assert_eq!(Layout::V3.overflow_node_space(3), 2 + 8 + 4 + 24);
    assert_eq!(Layout::V1.branch_node_space(3), 2 + 12);
    for (value_len, pages) in [(0, 1), (4080, 1), (4081, 2), (u32::MAX, 1_048_577)] {
        assert_eq!(Layout::V1.run_pages(value_len), pages, "{value_len}");
    }
}

#[test]
fn every_layout_is_recognised_in_both_orders() {
    for layout in layouts() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let layout = Layout { order, ..layout };
            let mut head = [0; HEAD_LEN];
            let magic = layout.magic_offset();
            order.put_u32(&mut head, magic, MAGIC).unwrap();
            order
                .put_u32(&mut head, magic + 4, layout.version.number())
                .unwrap();
            let pad = layout.free_record_offset();
            for (size, good) in [(4096, true), (256, true), (128, false), (4097, false)] {
                order.put_u32(&mut head, pad, size).unwrap();
                let found = Layout::recognise(&head);
                let expected = PageSize::new(size, layout.version);
                assert_eq!(
                    found.ok(),
                    expected.map(|page_size| Layout {
                        page_size,
                        ..layout
                    })
                );
                assert_eq!(expected.is_some(), good);
            }
            order.put_u32(&mut head, magic + 4, 2).unwrap();
            let error = Layout::recognise(&head).unwrap_err();
            assert_eq!(error.to_string(), "LMDB data version 2 is not supported");
        }
    }
    assert_eq!(
        Layout::recognise(&[0; 500]).unwrap_err().to_string(),
        "not an LMDB file"
    );
    assert!(Layout::recognise(&[]).is_err());
    assert!(PageSize::new(65536, DataVersion::V1).is_none());
    assert!(PageSize::new(65536, DataVersion::V3).is_some());
}

#[test]
fn words_have_the_width_of_the_machine() {
    let narrow = Layout {
        width: WordWidth::Four,
        ..Layout::V1
    };
    let mut bytes = [0; 8];
    narrow.put_word(&mut bytes, 0, narrow.no_page()).unwrap();
    assert_eq!(bytes, [255, 255, 255, 255, 0, 0, 0, 0]);
    assert_eq!(narrow.put_word(&mut bytes, 0, 1 << 32), None);
    assert_eq!(Layout::V1.word(&bytes, 0), Some(0xffff_ffff));
    assert_eq!(Layout::V1.word(&bytes, 1), None);
}
