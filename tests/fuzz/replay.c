/* A main for fuzz targets built without libFuzzer: every file of a corpus
 * folder is played as it is, and then in seeded mutations. Fails when the
 * folder holds no file, so that an empty corpus is not taken for a success.
 *
 *   X_fuzz FOLDER [MUTATIONS]      per file; 2,000 unless told */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/prng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_MAX = 1 << 16, /* bytes of one file of the corpus */
    MUTATIONS_DEFAULT = 2000,
    EDITS_MAX = 8, /* in one mutation */
};

/* An exact copy on the heap, so that a read past its end is seen. */
static void play(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);
    if (copy == NULL) {
        (void)fputs("replay: out of memory\n", stderr);
        exit(1);
    }
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t mutate(struct prng *p, uint8_t *data, size_t size)
{
    const uint64_t edits = prng_between(p, 1, EDITS_MAX);
    for (uint64_t i = 0; i < edits && size > 0; i++) {
        const size_t at = (size_t)prng_below(p, size);
        switch (prng_below(p, 5)) {
        case 0:
            data[at] ^= (uint8_t)(1U << prng_below(p, 8));
            break;
        case 1:
            data[at] = (uint8_t)prng_next(p);
            break;
        case 2:
            data[at] = prng_chance(p, 500000) ? 0xff : 0;
            break;
        case 3:
            size = at;
            break;
        default:
            if (size < INPUT_MAX) {
                memmove(data + at + 1, data + at, size - at);
                size++;
            }
            break;
        }
    }
    return size;
}

static void play_file(const char *path, unsigned long mutations)
{
    static uint8_t input[INPUT_MAX];
    static uint8_t work[INPUT_MAX];
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        (void)fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    const size_t size = fread(input, 1, sizeof input, f);
    (void)fclose(f);

    struct prng p;
    prng_init(&p, size);
    play(input, size);
    for (unsigned long i = 0; i < mutations; i++) {
        memcpy(work, input, size);
        play(work, mutate(&p, work, size));
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fputs("usage: X_fuzz FOLDER [MUTATIONS]\n", stderr);
        return 64;
    }
    const unsigned long mutations =
        argc > 2 ? strtoul(argv[2], NULL, 10) : MUTATIONS_DEFAULT;
    struct dirent **names = NULL;
    const int count = scandir(argv[1], &names, NULL, alphasort);
    unsigned long played = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            play_file(path, mutations);
            played++;
        }
        free(names[i]);
    }
    free(names);
    (void)printf("%lu files, each with %lu mutations\n", played, mutations);
    return played == 0;
}
