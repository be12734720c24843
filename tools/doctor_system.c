#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <openssl/evp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"
#include "folders.h"
#include "process.h"
#include "units.h"

/* What is tried of the system itself. What changes it is tried in a child, in
 * namespaces that end with it. */

enum {
    FILES_NEEDED = 1024,
    GUEST_MIB = 260, /* of a guest, as measured (docs/GROUNDS.md) */
    SITE_MIB = 32,
    PACKET_BYTES = 65536, /* of an attachment */
    ROOM_NEEDED_MIB = 64,
    AES_MS = 30,
    AES_CHUNK = 16384,
    AES_SLOW_MIB = 200, /* a second; less is done without the instructions */
};

void finding_set(struct finding *f, enum finding_state state,
                 const char *format, ...)
{
    va_list args;

    f->state = state;
    va_start(args, format);
    (void)vsnprintf(f->what, sizeof f->what, format, args);
    va_end(args);
}

void finding_todo(struct finding *f, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(f->todo, sizeof f->todo, format, args);
    va_end(args);
}

/* ---- this machine ----------------------------------------------------------
 */

static void look_cores(struct finding *f)
{
    cpu_set_t set;
    const long all = sysconf(_SC_NPROCESSORS_ONLN);
    const int ours = sched_getaffinity(0, sizeof set, &set) == 0
                         ? CPU_COUNT(&set)
                         : (int)all;

    finding_set(f, ours >= 2 ? FINDING_OK : FINDING_WARN,
                "%d of %ld cores are ours", ours, all);
    if (ours < 2) {
        finding_todo(f, "sites take turns on it: expect delays of "
                        "milliseconds");
    }
}

static void look_memory(struct finding *f)
{
    char line[128];
    unsigned long kib = 0;
    FILE *in = fopen("/proc/meminfo", "re");

    while (in != NULL && fgets(line, sizeof line, in) != NULL &&
           sscanf(line, "MemAvailable: %lu", &kib) != 1) {
    }
    if (in != NULL) {
        fclose(in);
    }
    const unsigned long mib = kib / 1024;
    finding_set(f, mib >= 4 * SITE_MIB ? FINDING_OK : FINDING_NO,
                "%lu MiB free: room for %lu guests", mib, mib / GUEST_MIB);
    if (mib < 4 * SITE_MIB) {
        finding_todo(f, "end something else");
    }
}

static void look_files(struct finding *f)
{
    struct rlimit limit = {0};

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    const bool ok = limit.rlim_cur >= FILES_NEEDED;
    finding_set(f, ok ? FINDING_OK : FINDING_NO, "%llu open files (%d needed)",
                (unsigned long long)limit.rlim_cur, FILES_NEEDED);
    if (!ok) {
        finding_todo(f, "ulimit -n %d", FILES_NEEDED);
    }
}

/* A packet as large as programs send is really sent. */
static void look_sockets(struct finding *f)
{
    static const char packet[PACKET_BYTES] = {0};
    struct folders folders;
    int pair[2];

    if (!folders_of("demo", &folders)) {
        finding_set(f, FINDING_NO, "no folder for sockets");
        return;
    }
    const size_t path = strlen(folders.run) + strlen("/site64.sock");
    const size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) != 0) {
        finding_set(f, FINDING_NO, "SOCK_SEQPACKET: %s", strerror(errno));
        return;
    }
    const bool sent = send(pair[0], packet, sizeof packet, 0) == PACKET_BYTES;
    const int why = errno;
    close(pair[0]);
    close(pair[1]);
    if (!sent) {
        finding_set(f, FINDING_NO, "a packet of %d bytes: %s", PACKET_BYTES,
                    strerror(why));
        finding_todo(f, "sysctl net.core.wmem_max=212992");
    } else if (path > most) {
        finding_set(f, FINDING_NO, "paths of %zu bytes, at most %zu", path,
                    most);
        finding_todo(f, "set MOTET_RUNTIME_DIR to a shorter folder");
    } else {
        finding_set(f, FINDING_OK, "longest path %zu of %zu bytes", path, most);
    }
}

static void look_room(struct finding *f)
{
    struct folders folders;
    struct statvfs fs;
    char path[PATH_BYTES];

    if (!folders_of("", &folders)) {
        finding_set(f, FINDING_NO, "no folder for state");
        return;
    }
    snprintf(path, sizeof path, "%s", folders.state);
    while (statvfs(path, &fs) != 0 && strrchr(path, '/') > path) {
        *strrchr(path, '/') = '\0'; /* not made yet: the one above */
    }
    const unsigned long long mib =
        (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
    const bool ours = access(path, W_OK) == 0;
    finding_set(f, ours && mib >= ROOM_NEEDED_MIB ? FINDING_OK : FINDING_NO,
                ours ? "%llu MiB of disk, state in %.100s"
                     : "%llu MiB of disk, but %.100s cannot be written",
                mib, folders.state);
    if (f->state != FINDING_OK) {
        finding_todo(f, "set XDG_STATE_HOME to another folder");
    }
}

static void look_aes(struct finding *f)
{
    static unsigned char data[AES_CHUNK];
    static const unsigned char key[16] = {0};
    int n = 0;
    uint64_t bytes = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const uint64_t from = clock_ns();
    uint64_t took = 0;
    bool ok = ctx != NULL &&
              EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, key) == 1;

    while (ok && took < AES_MS * 1000000ULL) {
        ok = EVP_EncryptUpdate(ctx, data, &n, data, sizeof data) == 1;
        bytes += sizeof data;
        took = clock_ns() - from;
    }
    EVP_CIPHER_CTX_free(ctx);
    const uint64_t mib = took == 0 ? 0 : bytes * 1000000000 / took >> 20;
    finding_set(f, mib >= AES_SLOW_MIB ? FINDING_OK : FINDING_WARN,
                "AES-128-GCM at %llu MiB/s on one core",
                (unsigned long long)mib);
    if (mib < AES_SLOW_MIB) {
        finding_todo(f, "this CPU has no instructions for it; everything "
                        "works, slower");
    }
}

static void look_programs(struct finding *f)
{
    static const char *const programs[] = {
        "motetd", "motet-guest", "motet-init", "motetd-static", "motet-switch"};
    char path[PATH_BYTES];

    finding_set(f, FINDING_OK, "all parts of motet are here");
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        if (!process_there(programs[i], path)) {
            finding_set(f, i == 0 ? FINDING_NO : FINDING_WARN, "no %s",
                        programs[i]);
            finding_todo(f, "build all of it: cmake --build --preset release");
            return;
        }
    }
}

/* ---- namespaces ------------------------------------------------------------
 */

/* A child tries; what it makes ends with it. @return 0, or its errno */
static int try_in_child(int (*attempt)(void))
{
    int status = 0;

    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        const int why = attempt();
        _exit(why < 0 || why > 255 ? 255 : why);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return EAGAIN;
    }
    return WEXITSTATUS(status);
}

static int attempt_namespace(void)
{
    return unshare(CLONE_NEWNET) == 0 ? 0 : errno;
}

static int attempt_user(void)
{
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 0 : errno;
}

/* A device in a namespace of its own: the machine's network is not touched. */
static int attempt_tap(void)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return errno;
    }
    if (unshare(CLONE_NEWNET) != 0) {
        return errno;
    }
    snprintf(r.ifr_name, sizeof r.ifr_name, "motet0");
    return ioctl(fd, TUNSETIFF, &r) == 0 ? 0 : errno;
}

static void look_namespaces(struct finding *f)
{
    const int why = try_in_child(attempt_namespace);

    if (why == 0) {
        finding_set(f, FINDING_OK, "a network namespace can be made");
        return;
    }
    const bool user = try_in_child(attempt_user) == 0;
    finding_set(f, FINDING_NO,
                user ? "as this user only inside a user "
                       "namespace"
                     : "no network namespace: %s",
                strerror(why));
    finding_todo(f, "run as root for --on netns; --on host and --on qemu need "
                    "none");
}

static void look_tap(struct finding *f)
{
    const int why = try_in_child(attempt_tap);

    if (why == 0) {
        finding_set(f, FINDING_OK, "a TAP device can be made");
        return;
    }
    finding_set(f, FINDING_NO, "no TAP device: %s", strerror(why));
    finding_todo(f, why == ENOENT ? "modprobe tun"
                                  : "run as root for --on netns; --on host and "
                                    "--on qemu need none");
}

const struct doctor_check doctor_system[] = {
    {"programs", "all", look_programs},
    {"cores", "all", look_cores},
    {"memory", "all", look_memory},
    {"open files", "all", look_files},
    {"sockets", "all", look_sockets},
    {"disk", "all", look_room},
    {"aes", "", look_aes},
    {"namespaces", "netns", look_namespaces},
    {"tap", "netns", look_tap},
};
const size_t doctor_system_count = sizeof doctor_system / sizeof *doctor_system;
