#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deploy/qemu/needs.h"

TestSuite(guest_needs, .timeout = 20);

static struct needs needs;
static char why[NEEDS_WHY_MAX];

static bool read_text(const char *text)
{
    static char said[4096];
    (void)snprintf(said, sizeof said, "%s", text);
    why[0] = '\0';
    return needs_read(&needs, said, why);
}

Test(guest_needs, a_library_that_is_not_found_is_named)
{
    cr_assert_not(read_text("\tlibc.so.6 => /lib/libc.so.6 (0x00007f)\n"
                            "\tlibmoon.so.1 => not found\n"));
    cr_assert_str_eq(why, "libmoon.so.1 is not found");
}

Test(guest_needs, more_than_there_is_room_for)
{
    char line[64];
    for (int i = 0; i < NEEDS_MAX; i++) {
        (void)snprintf(line, sizeof line, "\ta => /lib/%d (0x0)\n", i);
        cr_assert(read_text(line), "%d", i);
    }
    cr_assert(read_text("\ta => /lib/7 (0x0)\n"), "it is there already");
    cr_assert_not(read_text("\ta => /lib/more (0x0)\n"));
    cr_assert_not_null(strstr(why, "more than"));
}

Test(guest_needs, paths_each_once_and_no_vdso)
{
    cr_assert(read_text("\tlinux-vdso.so.1 (0x00007ffd)\n"
                        "\tlibuv.so.1 => /lib/x/libuv.so.1 (0x00007f)\n"
                        "\tlibuv.so.1 => /lib/x/libuv.so.1 (0x00007f)\n"
                        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n"
                        "\n\tstatically linked\n"));
    cr_assert_eq(needs.count, 2);
    cr_assert_str_eq(needs.paths[0], "/lib/x/libuv.so.1");
    cr_assert_str_eq(needs.paths[1], "/lib64/ld-linux-x86-64.so.2");
}

Test(guest_needs, of_a_program_of_this_machine)
{
    char self[512] = "";
    cr_assert_gt(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    cr_assert(needs_of(&needs, self, why), "%s", why);
    bool libc = false;
    for (size_t i = 0; i < needs.count; i++) {
        cr_assert_eq(needs.paths[i][0], '/');
        libc = libc || strstr(needs.paths[i], "/libc.so.6") != NULL;
    }
    cr_assert(libc);
    cr_assert_not(needs_of(&needs, "/etc/passwd", why));
    cr_assert_not_null(strstr(why, "cannot load it"));
}
