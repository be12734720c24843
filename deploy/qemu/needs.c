#include "needs.h"

#include <stdio.h>
#include <string.h>

#include "spawn.h"

#define LOADER "/lib64/ld-linux-x86-64.so.2"

enum { LIST_MS = 10000, LIST_BYTES = 65536 };

static bool is_there(const struct needs *n, const char *path)
{
    for (size_t i = 0; i < n->count; i++) {
        if (strcmp(n->paths[i], path) == 0) {
            return true;
        }
    }
    return false;
}

bool needs_add(struct needs *n, const char *path)
{
    const size_t size = strlen(path) + 1;

    if (is_there(n, path)) {
        return true;
    }
    if (n->count == NEEDS_MAX || size > sizeof n->text - n->used) {
        return false;
    }
    memcpy(n->text + n->used, path, size);
    n->paths[n->count++] = n->text + n->used;
    n->used += size;
    return true;
}

/* The path of a line; NULL: it names none, as that of the vdso. */
static char *path_of(char *line)
{
    char *arrow = strstr(line, " => ");
    char *path = arrow != NULL ? arrow + 4 : line + strspn(line, " \t");
    char *end = strstr(path, " (0x");

    if (path[0] != '/' || end == NULL) {
        return NULL;
    }
    *end = '\0';
    return path;
}

bool needs_read(struct needs *n, char *said, char *why)
{
    for (char *line; (line = strsep(&said, "\n")) != NULL;) {
        if (strstr(line, "=> not found") != NULL) {
            const char *name = line + strspn(line, " \t");
            snprintf(why, NEEDS_WHY_MAX, "%.*s is not found",
                     (int)strcspn(name, " "), name);
            return false;
        }
        const char *path = path_of(line);
        if (path != NULL && !needs_add(n, path)) {
            snprintf(why, NEEDS_WHY_MAX, "it needs more than %d libraries",
                     NEEDS_MAX);
            return false;
        }
    }
    return true;
}

bool needs_of(struct needs *n, const char *path, char *why)
{
    static char said[LIST_BYTES];
    const char *const argv[] = {LOADER, "--list", path, NULL};
    const struct spawn s = {
        .argv = argv, .text = said, .text_bytes = sizeof said, .ms = LIST_MS};

    if (spawn_run(&s) != 0) {
        snprintf(why, NEEDS_WHY_MAX, "%s cannot load it", LOADER);
        return false;
    }
    return needs_add(n, LOADER) && needs_read(n, said, why);
}
