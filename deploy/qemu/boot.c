#include "boot.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "store.h"

enum {
    EXIT_PORT = 0x501, /* of isa-debug-exit */
    POLL_US = 5000,
    NET_MS = 5000,
    OPEN_FILES = 65536,
};

void boot_mounts(void)
{
    (void)mount("dev", "/dev", "devtmpfs", 0, NULL);
    int fd = open("/dev/console", O_RDWR);
    for (int i = 0; fd >= 0 && i < 3; i++) {
        (void)dup2(fd, i);
    }
    if (fd > 2) {
        close(fd);
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)mkdir("/proc", 0755);
    (void)mkdir("/sys", 0755);
    const bool has_tmp = mkdir("/tmp", 01777) != 0; /* files of the image */
    (void)mount("proc", "/proc", "proc", 0, NULL);
    (void)mount("sys", "/sys", "sysfs", 0, NULL);
    if (!has_tmp) {
        (void)mount("tmp", "/tmp", "tmpfs", 0, "size=64m");
    }
    (void)mkdir("/dev/shm", 01777);
    (void)mount("shm", "/dev/shm", "tmpfs", 0, NULL);
    const struct rlimit files = {OPEN_FILES, OPEN_FILES};
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static void load(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 ||
        (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)) {
        printf("motet: module %s: %s\n", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

void boot_modules(const char *list)
{
    char line[BOOT_PATH_MAX];
    FILE *f = fopen(list, "re");

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        load(line);
    }
    if (f != NULL) {
        fclose(f);
    }
}

static bool read_line(const char *path, char *to, size_t size)
{
    FILE *f = fopen(path, "re");
    bool ok = f != NULL && fgets(to, (int)size, f) != NULL;

    if (f != NULL) {
        fclose(f);
    }
    if (ok) {
        to[strcspn(to, "\n")] = '\0';
    }
    return ok;
}

static bool find_port(const char *name, char path[BOOT_PATH_MAX])
{
    static const char folder[] = "/sys/class/virtio-ports";
    char file[BOOT_PATH_MAX];
    char found[64];
    const struct dirent *entry;
    DIR *dir = opendir(folder);
    bool ok = false;

    while (dir != NULL && !ok && (entry = readdir(dir)) != NULL) {
        snprintf(file, sizeof file, "%s/%.100s/name", folder, entry->d_name);
        if (entry->d_name[0] != '.' && read_line(file, found, sizeof found) &&
            strcmp(found, name) == 0) {
            snprintf(path, BOOT_PATH_MAX, "/dev/%.100s", entry->d_name);
            ok = access(path, F_OK) == 0;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return ok;
}

bool boot_port(const char *name, char path[BOOT_PATH_MAX], int ms)
{
    for (int waited = 0; !find_port(name, path); waited += POLL_US / 1000) {
        if (waited >= ms) {
            return false;
        }
        (void)usleep(POLL_US);
    }
    return true;
}

static bool card_up(int fd, const char *name, const char *address)
{
    struct ifreq r = {0};
    struct sockaddr_in in = {.sin_family = AF_INET};
    const char *const values[] = {address, "255.255.255.0"};
    const unsigned long sets[] = {SIOCSIFADDR, SIOCSIFNETMASK};

    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    for (int i = 0; address != NULL && i < 2; i++) {
        if (inet_pton(AF_INET, values[i], &in.sin_addr) != 1) {
            errno = EINVAL;
            return false;
        }
        memcpy(&r.ifr_addr, &in, sizeof in);
        if (ioctl(fd, sets[i], &r) != 0) {
            return false;
        }
    }
    if (ioctl(fd, SIOCGIFFLAGS, &r) != 0) {
        return false;
    }
    r.ifr_flags = (short)(r.ifr_flags | IFF_UP | IFF_RUNNING);
    return ioctl(fd, SIOCSIFFLAGS, &r) == 0;
}

bool boot_network(const char *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    for (int waited = 0; if_nametoindex("eth0") == 0 && waited < NET_MS;
         waited += POLL_US / 1000) {
        (void)usleep(POLL_US);
    }
    bool ok =
        fd >= 0 && card_up(fd, "lo", NULL) && card_up(fd, "eth0", address);
    if (!ok) {
        printf("motet: network: %s\n", strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

void boot_clock(uint64_t wall_ns)
{
    const struct timespec t = {.tv_sec = (time_t)(wall_ns / 1000000000),
                               .tv_nsec = (long)(wall_ns % 1000000000)};

    if (clock_settime(CLOCK_REALTIME, &t) != 0) {
        printf("motet: clock: %s\n", strerror(errno));
    }
}

void boot_chance(const char *text)
{
    enum { BITS = 256, BYTES = 64 };
    int pool[2 + BYTES / sizeof(int)] = {BITS, BYTES}; /* rand_pool_info */
    const size_t size = strlen(text);
    int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

    memcpy(pool + 2, text, size < BYTES ? size : BYTES);
    if (fd < 0 || ioctl(fd, RNDADDENTROPY, pool) != 0) {
        printf("motet: chance: %s\n", strerror(errno));
    }
    if (fd >= 0) {
        (void)ioctl(fd, RNDRESEEDCRNG);
        close(fd);
    }
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        printf("motet: %s: %s\n", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

void boot_cores(const char *self)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    char pattern[BOOT_PATH_MAX];

    (void)setrlimit(RLIMIT_CORE, &all);
    snprintf(pattern, sizeof pattern, "|%s core", self);
    put("/proc/sys/kernel/core_pattern", pattern);
    put("/proc/sys/kernel/core_pipe_limit", "4");
}

int boot_core(void)
{
    static char chunk[65536];
    char path[BOOT_PATH_MAX];
    ssize_t n;
    int to = boot_port(GUEST_PORT_CORE, path, 0) ? open(path, O_WRONLY) : -1;

    if (to < 0) {
        return 1;
    }
    while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
        if (!store_bytes(to, chunk, (size_t)n)) {
            return 1;
        }
    }
    return n < 0;
}

void boot_leave(int code)
{
    (void)fflush(stdout);
    sync();
    if (ioperm(EXIT_PORT, 2, 1) == 0) {
        outb((unsigned char)(code & 0x7f), EXIT_PORT);
    }
    (void)reboot(RB_AUTOBOOT);
    for (;;) {
        (void)pause();
    }
}

bool boot_word(const char *word)
{
    char line[4096];
    char *rest = line;

    if (!read_line("/proc/cmdline", line, sizeof line)) {
        return false;
    }
    for (const char *w; (w = strsep(&rest, " ")) != NULL;) {
        if (strcmp(w, word) == 0) {
            return true;
        }
    }
    return false;
}
