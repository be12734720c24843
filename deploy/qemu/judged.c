#include "judged.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define LOOK_NS 50000000ULL /* between two looks at the clock */
#define LATE_NS \
    1000000000ULL /* an answer that does not come is not waited for */

static uint64_t clock_of(clockid_t which)
{
    struct timespec t;

    (void)clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool path_in(const struct judged *j, const char *suffix,
                    char path[JUDGED_PATH_MAX])
{
    const int size = snprintf(path, JUDGED_PATH_MAX, "%s/%s%s", j->folder,
                              suffix[0] == '.' ? j->name : "", suffix);

    errno = ENAMETOOLONG;
    return size > 0 && size < JUDGED_PATH_MAX;
}

bool judged_open(struct judged *j, const char *folder, const char *name)
{
    char path[JUDGED_PATH_MAX];

    *j = (struct judged){.changes = -1};
    if (folder == NULL) {
        return true;
    }
    j->folder = folder;
    j->name = name;
    if (!path_in(j, ".guest", j->events) || !path_in(j, ".clock", path)) {
        return false;
    }
    j->clock = fopen(path, "ae");
    j->changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return j->clock != NULL && j->changes >= 0 &&
           inotify_add_watch(j->changes, folder, IN_MOVED_TO) >= 0;
}

static void send_phase(const struct judged *j)
{
    char path[JUDGED_PATH_MAX];

    if (path_in(j, "phase", path) && access(path, F_OK) == 0) {
        (void)!carrier_file(j->carrier, path);
    }
}

size_t judged_start(struct judged *j, char *text, size_t size, size_t room)
{
    if (j->folder == NULL) {
        return size;
    }
    j->boot = clock_of(CLOCK_MONOTONIC);
    (void)fprintf(j->clock, "boot %" PRIu64 "\n", j->boot);
    (void)fflush(j->clock);
    j->next_ns = 0;
    send_phase(j);
    return size + (size_t)snprintf(text + size, room - size,
                                   GUEST_KEY_FOLDER " = %s\n" GUEST_KEY_NAME
                                                    " = %s\n" GUEST_KEY_BOOT
                                                    " = %" PRIu64 "\n",
                                   j->folder, j->name, j->boot);
}

int64_t judged_wall_ns(const struct judged *j)
{
    char path[JUDGED_PATH_MAX];
    char text[32] = "0";

    if (j->folder == NULL || !path_in(j, ".wall", path)) {
        return 0;
    }
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        (void)!fgets(text, sizeof text, f);
        (void)fclose(f);
    }
    return strtoll(text, NULL, 10) * 1000000000;
}

int judged_wait_ms(const struct judged *j)
{
    const uint64_t now = clock_of(CLOCK_MONOTONIC);

    if (j->boot == 0) {
        return -1;
    }
    return j->next_ns <= now ? 0 : (int)((j->next_ns - now) / 1000000 + 1);
}

void judged_look(struct judged *j)
{
    uint8_t numbers[16];
    const uint64_t now = clock_of(CLOCK_MONOTONIC);

    if (j->boot == 0 || now < j->next_ns) {
        return;
    }
    j->next_ns = now + LATE_NS;
    link_put_u64s(numbers, now, 0);
    carrier_send(j->carrier, LINK_CLOCK, numbers, sizeof numbers);
}

void judged_clock(struct judged *j, const struct link_frame *f)
{
    const uint64_t now = clock_of(CLOCK_MONOTONIC);

    if (j->boot == 0) {
        return;
    }
    (void)fprintf(j->clock, "at %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                  link_u64(f, 8), link_u64(f, 0), now);
    (void)fflush(j->clock);
    j->next_ns = now + LOOK_NS;
}

static void resumed(struct judged *j, uint64_t wall_ns)
{
    const uint64_t now = clock_of(CLOCK_MONOTONIC);
    const uint64_t wall = clock_of(CLOCK_REALTIME);

    if (j->boot == 0) {
        return;
    }
    (void)fprintf(j->clock, "resume %" PRIu64 "\n",
                  now - (wall > wall_ns ? wall - wall_ns : 0));
    (void)fflush(j->clock);
    j->next_ns = 0;
}

void judged_events(struct judged *j, char *text)
{
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        const char *s = strstr(line, "\"seconds\":");
        const char *us = strstr(line, "\"microseconds\":");
        if (strstr(line, "\"RESUME\"") != NULL && s != NULL && us != NULL) {
            resumed(j, strtoull(s + 10, NULL, 10) * 1000000000 +
                           strtoull(us + 15, NULL, 10) * 1000);
        }
    }
}

static void set_wall(const struct judged *j)
{
    uint8_t numbers[16];
    const uint64_t wall = clock_of(CLOCK_REALTIME);

    link_put_u64s(numbers, wall + (uint64_t)judged_wall_ns(j), 0);
    carrier_send(j->carrier, LINK_WALL, numbers, sizeof numbers);
}

void judged_changed(struct judged *j)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } u;
    char wall[256];
    ssize_t n;

    snprintf(wall, sizeof wall, "%.240s.wall", j->name);
    while ((n = read(j->changes, u.bytes, sizeof u.bytes)) > 0) {
        for (ssize_t at = 0; at < n;) {
            struct inotify_event e;
            const char *name = u.bytes + at + sizeof e;
            memcpy(&e, u.bytes + at, sizeof e);
            if (e.len > 0 && strcmp(name, "phase") == 0) {
                send_phase(j);
            } else if (e.len > 0 && strcmp(name, wall) == 0) {
                set_wall(j);
            }
            at += (ssize_t)(sizeof e + e.len);
        }
    }
}

bool judged_takes(const struct judged *j, const char *path)
{
    const size_t folder = j->folder == NULL ? 0 : strlen(j->folder);
    const size_t name = j->folder == NULL ? 0 : strlen(j->name);

    return folder > 0 && strncmp(path, j->folder, folder) == 0 &&
           path[folder] == '/' && strchr(path + folder + 1, '/') == NULL &&
           strncmp(path + folder + 1, j->name, name) == 0 &&
           path[folder + 1 + name] == '.';
}
