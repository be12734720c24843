#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deploy/qemu/judged.h"

TestSuite(guest_judged, .timeout = 20);

static char folder[] = "/tmp/guest_judged_test.XXXXXX";
static struct judged judged;

static void open_it(void)
{
    static const struct carrier_hooks hooks = {0};
    int fds[2];
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cr_assert(judged_open(&judged, folder, "site1"));
    judged.carrier = carrier_create(fds[0], &hooks);
}

static void put(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert(fputs(text, f) >= 0);
    cr_assert_eq(fclose(f), 0);
}

static const char *clock_file(void)
{
    static char text[512];
    char path[128];
    (void)snprintf(path, sizeof path, "%s/site1.clock", folder);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    cr_assert_eq(fclose(f), 0);
    return text;
}

static void close_it(void)
{
    static const char *const names[] = {"site1.clock", "site1.wall"};
    char path[128];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
    carrier_destroy(judged.carrier);
    (void)fclose(judged.clock);
}

/* A guest may write no other file of the host than its own. */
Test(guest_judged, takes_what_a_guest_may_leave, .init = open_it,
     .fini = close_it)
{
    static const struct {
        const char *name;
        bool taken;
    } files[] = {
        {"/site1.lock.state", true},
        {"/site1.", true},
        {"/site2.lock.state", false},
        {"/run.json", false},
        {"/site1", false},
        {"/site10.state", false},
        {"/site1.x/y", false},
        {".x/site1.state", false},
        {"", false},
    };
    char path[128];
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof path, "%s%s", folder, files[i].name);
        cr_expect_eq(judged_takes(&judged, path), files[i].taken, "%s",
                     files[i].name);
    }
    cr_expect_not(judged_takes(&judged, "/etc/site1.x"));
}

Test(guest_judged, in_no_run_nothing_is_done)
{
    char text[8] = "x";
    cr_assert(judged_open(&judged, NULL, "site1"));
    cr_expect_eq(judged_start(&judged, text, 1, sizeof text), 1);
    cr_expect_eq(judged_wait_ms(&judged), -1);
    judged_look(&judged);
    cr_expect_eq(judged_wall_ns(&judged), 0);
    cr_expect_not(judged_takes(&judged, "/x/site1.state"));
}

Test(guest_judged, a_boot_its_clock_and_its_standstill, .init = open_it,
     .fini = close_it)
{
    char text[512] = "k = v\n";
    char events[] = "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 5}, "
                    "\"event\": \"STOP\"}\r\n{\"timestamp\": {\"seconds\": 2, "
                    "\"microseconds\": 7}, \"event\": \"RESUME\"}\r\n";
    uint8_t numbers[16];
    const size_t size = judged_start(&judged, text, 6, sizeof text);
    cr_expect_eq(size, strlen(text));
    cr_expect_not_null(strstr(text, "k = v\nfolder = /tmp/guest_judged"));
    cr_expect_not_null(strstr(text, "name = site1\nboot = "));
    cr_expect_eq(judged_wait_ms(&judged), 0, "a look at once");
    judged_look(&judged);
    cr_expect_gt(judged_wait_ms(&judged), 0);
    link_put_u64s(numbers, 17, 4);
    const struct link_frame f = {
        .op = LINK_CLOCK, .payload = numbers, .size = sizeof numbers};
    judged_clock(&judged, &f);
    judged_events(&judged, events);
    const char *said = clock_file();
    cr_expect_eq(strncmp(said, "boot ", 5), 0, "%s", said);
    cr_expect_not_null(strstr(said, "\nat 4 17 "), "%s", said);
    cr_expect_not_null(strstr(said, "\nresume "), "%s", said);
    cr_expect_null(strstr(strstr(said, "\nresume ") + 1, "\nresume "), "once");
}

Test(guest_judged, the_wall_clock_is_off, .init = open_it, .fini = close_it)
{
    cr_expect_eq(judged_wall_ns(&judged), 0);
    put("site1.wall", "-3600\n");
    cr_expect_eq(judged_wall_ns(&judged), -3600000000000);
}
