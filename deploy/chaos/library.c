#include "library.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".yml"

/* Beside the program as it is installed, and as it is built. */
static const char *const beside[] = {
    "../share/motet/scenarios",
    "../../../deploy/chaos/scenarios",
};

static bool is_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return dir != NULL;
}

bool library_folder(char *path)
{
    char self[LIBRARY_PATH_MAX];
    const char *told = getenv("MOTET_SCENARIOS");
    if (told != NULL && told[0] != '\0') {
        return snprintf(path, LIBRARY_PATH_MAX, "%s", told) <
                   LIBRARY_PATH_MAX &&
               is_folder(path);
    }
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        return false;
    }
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        if (snprintf(path, LIBRARY_PATH_MAX, "%s/%s", self, beside[i]) <
                LIBRARY_PATH_MAX &&
            is_folder(path)) {
            return true;
        }
    }
    return false;
}

bool library_find(const char *name, char *path)
{
    const size_t n = strlen(name);
    const size_t suffix = strlen(SUFFIX);
    if (strchr(name, '/') != NULL ||
        (n > suffix && strcmp(name + n - suffix, SUFFIX) == 0)) {
        return snprintf(path, LIBRARY_PATH_MAX, "%s", name) < LIBRARY_PATH_MAX;
    }
    char folder[LIBRARY_PATH_MAX];
    return library_folder(folder) &&
           snprintf(path, LIBRARY_PATH_MAX, "%s/%s" SUFFIX, folder, name) <
               LIBRARY_PATH_MAX &&
           access(path, R_OK) == 0;
}

static int is_scenario(const struct dirent *entry)
{
    const size_t n = strlen(entry->d_name);
    const size_t suffix = strlen(SUFFIX);
    return entry->d_name[0] != '.' && n > suffix &&
           strcmp(entry->d_name + n - suffix, SUFFIX) == 0;
}

size_t library_names(char names[][SCENARIO_NAME_MAX], size_t max)
{
    char folder[LIBRARY_PATH_MAX];
    struct dirent **entries = NULL;
    size_t count = 0;
    if (!library_folder(folder)) {
        return 0;
    }
    const int n = scandir(folder, &entries, is_scenario, alphasort);
    for (int i = 0; i < n; i++) {
        const char *file = entries[i]->d_name;
        const size_t length = strlen(file) - strlen(SUFFIX);
        if (count < max && length < SCENARIO_NAME_MAX) {
            memcpy(names[count], file, length);
            names[count++][length] = '\0';
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}
