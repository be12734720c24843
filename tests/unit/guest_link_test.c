#include <criterion/criterion.h>
#include <string.h>

#include "deploy/qemu/link.h"
#include "nucleus/base/cursor.h"

TestSuite(guest_link, .timeout = 10);

static uint8_t bytes[LINK_HEADER_BYTES + LINK_PAYLOAD_MAX];

Test(guest_link, refuses_what_is_no_frame)
{
    const struct {
        const char *why;
        uint32_t size;
        uint8_t op;
        uint8_t zero;
    } wrong[] = {
        {"longer than any frame", LINK_PAYLOAD_MAX + 1, LINK_DATA, 0},
        {"as long as can be written", UINT32_MAX, LINK_DATA, 0},
        {"no op", 0, 0, 0},
        {"an op that is none", 0, LINK_OPS, 0},
        {"not zero where it must be", 0, LINK_DATA, 1},
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct link_frame f;
        struct writer w = writer_of(bytes, LINK_HEADER_BYTES);
        write_u32(&w, wrong[i].size);
        write_u32(&w, 7);
        write_u8(&w, wrong[i].op);
        write_u8(&w, wrong[i].zero);
        write_u16(&w, 0);
        cr_assert_eq(link_parse(bytes, sizeof bytes, &f), -1, "%s",
                     wrong[i].why);
    }
}

Test(guest_link, waits_for_the_whole_frame)
{
    enum { SIZE = 9 };
    struct link_frame f;

    link_header(bytes, LINK_DATA, 3, SIZE);
    for (size_t n = 0; n < LINK_HEADER_BYTES + SIZE; n++) {
        cr_assert_eq(link_parse(bytes, n, &f), 0, "%zu bytes", n);
    }
    cr_assert_eq(link_parse(bytes, sizeof bytes, &f), LINK_HEADER_BYTES + SIZE);
    cr_assert_eq(f.op, LINK_DATA);
    cr_assert_eq(f.channel, 3);
    cr_assert_eq(f.size, SIZE);
    cr_assert_eq(f.payload, bytes + LINK_HEADER_BYTES);
}

Test(guest_link, the_largest_frame_is_one)
{
    struct link_frame f;

    link_header(bytes, LINK_DATA, 1, LINK_PAYLOAD_MAX);
    cr_assert_eq(link_parse(bytes, sizeof bytes, &f), (ssize_t)sizeof bytes);
}

static struct link_frame frame_of(const char *path, size_t size)
{
    static uint8_t payload[512];
    struct writer w = writer_of(payload, sizeof payload);

    write_u32(&w, 0600);
    write_u16(&w, (uint16_t)size);
    write_span(&w, path, size);
    return (struct link_frame){
        .op = LINK_FILE, .payload = payload, .size = w.at};
}

Test(guest_link, refuses_files_with_a_path_that_is_none)
{
    const struct {
        const char *why;
        const char *path;
        size_t size;
    } wrong[] = {
        {"empty", "", 0},
        {"not from the root", "etc/x", 5},
        {"climbs", "/a/../b", 7},
        {"a NUL inside", "/a\0b", 4},
    };
    struct link_file file;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        const struct link_frame f = frame_of(wrong[i].path, wrong[i].size);
        cr_assert(!link_file_parse(&f, &file), "%s", wrong[i].why);
    }
    struct link_frame f = frame_of("/a/b", 4);
    cr_assert(link_file_parse(&f, &file));
    f.size -= 1; /* the path is cut off */
    cr_assert(!link_file_parse(&f, &file));
    f.size = 5;
    cr_assert(!link_file_parse(&f, &file));
}

Test(guest_link, a_file_comes_back_as_it_was)
{
    const uint8_t content[] = {0, 1, 2, 0xff};
    struct link_file file = {
        .mode = 0640, .bytes = content, .size = sizeof content};
    struct link_file back;
    uint8_t payload[256];

    strcpy(file.path, "/state/incarnation");
    const size_t size = link_file_pack(&file, payload, sizeof payload);
    cr_assert_gt(size, sizeof content);
    const struct link_frame f = {
        .op = LINK_FILE, .payload = payload, .size = size};
    cr_assert(link_file_parse(&f, &back));
    cr_assert_str_eq(back.path, file.path);
    cr_assert_eq(back.mode, 0640);
    cr_assert_eq(back.size, sizeof content);
    cr_assert_eq(memcmp(back.bytes, content, sizeof content), 0);
    cr_assert_eq(link_file_pack(&file, payload, size - 1), 0, "no room");
}

Test(guest_link, numbers_that_are_not_there_are_zero)
{
    const uint8_t payload[] = {1, 2, 0, 0, 5, 0, 0};
    const struct link_frame f = {.payload = payload, .size = sizeof payload};

    cr_assert_eq(link_u32(&f, 0), 0x0201);
    cr_assert_eq(link_u32(&f, 4), 0);
    cr_assert_eq(link_u32(&f, 100), 0);
}

Test(guest_link, two_clocks_come_back)
{
    uint8_t payload[16];
    link_put_u64s(payload, 0x1122334455667788, UINT64_MAX);
    const struct link_frame f = {
        .op = LINK_CLOCK, .payload = payload, .size = sizeof payload};

    cr_assert_eq(link_u64(&f, 0), 0x1122334455667788);
    cr_assert_eq(link_u64(&f, 8), UINT64_MAX);
    cr_assert_eq(link_u64(&f, 9), 0, "it is cut off");
}
