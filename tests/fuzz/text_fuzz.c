#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "deploy/chaos/scenario.h"
#include "deploy/check/eventlog.h"
#include "deploy/fault/text.h"
#include "deploy/qemu/link.h"
#include "nucleus/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever people write, and whatever a guest says: no CHECK fires, what is
 * refused is told in one line, and what is taken is the same when it is written
 * and read again. The first byte says what the others are:
 *
 *   s  a scenario file        f  words of faults, as on the control line
 *   e  a line of events       l  what comes over the link of a guest */

enum { TEXT_BYTES = 65536, SEED = 7 };

static char why[SCENARIO_WHY_MAX];

static void expect_one_line(const char *said)
{
    CHECK(said[0] != '\0' && strchr(said, '\n') == NULL);
}

/* ---- scenarios -------------------------------------------------------------
 */

static bool read_scenario(struct scenario *s, const void *bytes, size_t size)
{
    char path[64];
    const int fd = memfd_create("scenario", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    why[0] = '\0';
    const bool ok = scenario_read(s, path, why);
    (void)close(fd);
    return ok;
}

/* With its faults written out, as `motet chaos run` leaves it. */
static size_t write_out(const struct scenario *s,
                        const struct chaos_faults *list, char **text)
{
    size_t size = 0;
    FILE *f = open_memstream(text, &size);
    CHECK(f != NULL);
    scenario_write(f, s, list);
    CHECK(fclose(f) == 0);
    return size;
}

static void scenario(const uint8_t *data, size_t size)
{
    static struct scenario s;
    static struct scenario again;
    struct chaos_faults list;
    char text[CHAOS_TEXT_MAX];
    char *written = NULL;
    if (!read_scenario(&s, data, size)) {
        expect_one_line(why);
        return;
    }
    scenario_faults(&s, SEED, &list);
    for (size_t i = 0; i < list.count; i++) {
        CHECK(list.items[i].at_ns < s.for_ns || s.for_ns == 0);
        CHECK(chaos_text(&list.items[i], s.sites, text)[0] != '\0');
    }
    const size_t bytes = write_out(&s, &list, &written);
    if (list.count <= SCENARIO_LINES_MAX) {
        CHECK(read_scenario(&again, written, bytes));
        CHECK(again.sites == s.sites && again.for_ns == s.for_ns);
        CHECK(again.line_count == list.count);
    }
    free(written);
    chaos_free(&list);
}

/* ---- words of faults, events, frames ---------------------------------------
 */

static void words(const char *text)
{
    struct fate_change c = {0};
    struct fate_change again = {0};
    char first[FATE_TEXT_MAX];
    char second[FATE_TEXT_MAX];
    if (!fate_read(&c, text, why)) {
        expect_one_line(why);
        return;
    }
    CHECK(fate_read(&again, fate_write(&c, first), why));
    CHECK(again.named == c.named);
    CHECK(strcmp(fate_write(&again, second), first) == 0);
}

static void event(const char *text)
{
    struct check_event e;
    struct check_event again;
    char line[EVENTLOG_LINE_MAX];
    char second[EVENTLOG_LINE_MAX];
    if (eventlog_read(text, &e)) {
        (void)eventlog_write(&e, line);
        CHECK(eventlog_read(line, &again));
        (void)eventlog_write(&again, second);
        CHECK(strcmp(line, second) == 0);
    }
}

static void frames(const uint8_t *data, size_t size)
{
    struct link_frame f;
    static struct link_file file;
    ssize_t took;
    for (size_t at = 0; (took = link_parse(data + at, size - at, &f)) > 0;
         at += (size_t)took) {
        CHECK((size_t)took <= size - at && f.size <= LINK_PAYLOAD_MAX);
        (void)link_u64(&f, 0);
        (void)link_u64(&f, 8);
        if (link_file_parse(&f, &file)) {
            CHECK(file.path[0] == '/' && file.size <= f.size);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_BYTES];
    if (size < 1 || size > TEXT_BYTES) {
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0]) {
    case 's':
        scenario(data + 1, size - 1);
        break;
    case 'f':
        words(text);
        break;
    case 'e':
        event(text);
        break;
    case 'l':
        frames(data + 1, size - 1);
        break;
    default:
        break;
    }
    return 0;
}
