#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deploy/pki/pki.h"
#include "deploy/pki/x509.h"
#include "netmgr/uv/transport.h"

enum { PATH_BYTES = 160, TEXT_BYTES = 8192 };

static char dir[PATH_BYTES];
static char why[256];

static void begin(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/motet-test-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void finish(void)
{
    char command[PATH_BYTES + 16];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(pki, .timeout = 20, .init = begin, .fini = finish);

static const char *path(const char *file)
{
    static char out[2 * PATH_BYTES];
    (void)snprintf(out, sizeof out, "%s/%s", dir, file);
    return out;
}

static void slurp(const char *file, char *text)
{
    FILE *f = fopen(path(file), "r");
    cr_assert_not_null(f, "%s", file);
    text[fread(text, 1, TEXT_BYTES - 1, f)] = '\0';
    fclose(f);
}

static void spill(const char *file, const char *text, mode_t mode)
{
    FILE *f = fopen(path(file), "w");
    cr_assert_not_null(f);
    cr_assert(fputs(text, f) >= 0);
    fclose(f);
    cr_assert_eq(chmod(path(file), mode), 0);
}

static unsigned mode_of(const char *file)
{
    struct stat st;
    cr_assert_eq(stat(path(file), &st), 0, "%s", file);
    return (unsigned)st.st_mode & 07777u;
}

static X509 *cert_of(const char *file)
{
    FILE *f = fopen(path(file), "r");
    cr_assert_not_null(f);
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    cr_assert_not_null(cert);
    return cert;
}

static bool authority(const char *cluster, int days)
{
    why[0] = '\0';
    return pki_make_authority(dir, cluster, days, why, sizeof why);
}

static bool site(const char *name, int days)
{
    why[0] = '\0';
    return pki_issue(dir, "lab", name, PKI_SITE, days, why, sizeof why);
}

static void expect_why(bool ok, const char *says)
{
    cr_assert(!ok, "%s", says);
    cr_assert_not_null(strstr(why, says), "%s: said: %s", says, why);
}

Test(pki, refuses_bad_words)
{
    static const char *const bad[] = {
        "",
        ".",
        "..",
        ".a",
        "-a",
        "a/b",
        "../a",
        "a b",
        "a\n",
        "\xc3\xa9",
        "0123456789012345678901234567890123456789012345678901234567890123"};
    cr_assert(authority("lab", 30), "%s", why);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert(!pki_name_ok(bad[i]), "%s", bad[i]);
        expect_why(authority(bad[i], 30), "no name for a cluster");
        expect_why(site(bad[i], 7), "no name for a site");
    }
    cr_assert(pki_name_ok("paris-2.lab_A"));
    expect_why(site("ca", 7), "the authority's name");
    expect_why(site("a", 0), "1 to 36500 days");
    expect_why(site("a", 36501), "1 to 36500 days");
    expect_why(authority("lab", -1), "1 to 36500 days");
}

Test(pki, refuses_what_is_not_there)
{
    expect_why(site("a", 7), "holds no authority");
    expect_why(pki_make_authority("/proc/none", "lab", 7, why, sizeof why),
               "cannot make the directory /proc/none: ");
    spill("plain", "x", 0600);
    expect_why(pki_make_authority(path("plain"), "lab", 7, why, sizeof why),
               "cannot open the directory");
}

Test(pki, refuses_an_open_directory)
{
    cr_assert_eq(chmod(dir, 0777), 0);
    expect_why(authority("lab", 7), "others may write to");
}

Test(pki, refuses_files_that_are_damaged)
{
    cr_assert(authority("lab", 30), "%s", why);
    cr_assert(site("a", 7), "%s", why);
    cr_assert_eq(chmod(path("a.key"), 0640), 0);
    expect_why(site("a", 7), "a.key readable by others (mode 0640): chmod 600");
    spill("a.key", "nonsense", 0600);
    expect_why(site("a", 7), "a.key holds no private key");
    cr_assert_eq(unlink(path("a.key")), 0);
    expect_why(site("a", 7), "a.pem has no key beside it");
    spill("a.pem", "nonsense", 0644);
    expect_why(site("a", 7), "a.pem holds no certificate");
    cr_assert_eq(unlink(path("ca.key")), 0);
    expect_why(site("b", 7), "ca.pem has no key beside it");
    expect_why(authority("lab", 7), "ca.pem has no key beside it");
}

Test(pki, refuses_to_mix)
{
    cr_assert(authority("lab", 30), "%s", why);
    cr_assert(site("a", 7), "%s", why);
    expect_why(authority("bal", 30), "of the cluster \"lab\", not of \"bal\"");
    expect_why(pki_issue(dir, "bal", "b", PKI_SITE, 7, why, sizeof why),
               "of the cluster \"lab\", not of \"bal\"");
    expect_why(pki_issue(dir, "lab", "a", PKI_OPERATOR, 7, why, sizeof why),
               "of another role");
    /* A new authority does not take over what the old one signed. */
    cr_assert_eq(unlink(path("ca.pem")), 0);
    cr_assert_eq(unlink(path("ca.key")), 0);
    cr_assert(authority("lab", 30), "%s", why);
    expect_why(site("a", 7), "signed by another authority");
}

Test(pki, makes_what_the_driver_takes)
{
    cr_assert(authority("lab", 30), "%s", why);
    cr_assert(site("paris", 7), "%s", why);
    cr_assert_eq(mode_of("ca.key"), 0600);
    cr_assert_eq(mode_of("paris.key"), 0600);
    cr_assert_eq(mode_of("paris.pem"), 0644);
    uint64_t id = transport_site_of(path("paris.pem"), why, sizeof why);
    cr_assert(id != 0, "%s", why);
    X509 *cert = cert_of("paris.pem");
    X509 *ca = cert_of("ca.pem");
    cr_assert_eq(x509_key_id(X509_get0_pubkey(cert)), id);
    cr_assert_eq(X509_verify(cert, X509_get0_pubkey(ca)), 1);
    cr_assert_eq(X509_check_ca(cert), 0);
    cr_assert_eq(X509_check_ca(ca), 1);
    char cn[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn,
                              sizeof cn);
    cr_assert_str_eq(cn, "paris");
    cr_assert_gt(ASN1_STRING_length(X509_get0_serialNumber(cert)), 14);
    cr_assert_neq(X509_cmp(cert, ca), 0);
    X509_free(ca);
    X509_free(cert);
}

/* An operator is no site. */
Test(pki, operators)
{
    cr_assert(authority("lab", 30), "%s", why);
    cr_assert(pki_issue(dir, "lab", "ann", PKI_OPERATOR, 7, why, sizeof why),
              "%s", why);
    cr_assert_eq(transport_site_of(path("ann.pem"), why, sizeof why), 0);
    cr_assert_not_null(strstr(why, "is not one of a site"), "%s", why);
}

Test(pki, makes_the_directory_for_its_owner_alone)
{
    char sub[PATH_BYTES + 8];
    struct stat st;
    (void)snprintf(sub, sizeof sub, "%s/sub", dir);
    cr_assert(pki_make_authority(sub, "lab", 30, why, sizeof why), "%s", why);
    cr_assert_eq(stat(sub, &st), 0);
    cr_assert_eq((unsigned)st.st_mode & 07777u, 0700);
}

Test(pki, leaves_alone_what_is_valid)
{
    static const char *const files[] = {"ca.pem", "ca.key", "a.pem", "a.key"};
    static char before[4][TEXT_BYTES];
    static char after[TEXT_BYTES];
    cr_assert(authority("lab", 30), "%s", why);
    cr_assert(site("a", 7), "%s", why);
    for (size_t i = 0; i < 4; i++) {
        slurp(files[i], before[i]);
    }
    cr_assert(authority("lab", 60), "%s", why);
    cr_assert(site("a", 20), "%s", why);
    for (size_t i = 0; i < 4; i++) {
        slurp(files[i], after);
        cr_assert_str_eq(before[i], after, "%s", files[i]);
    }
}

/* Renewed, a site stays the same site. */
Test(pki, renews_for_the_same_key)
{
    static char before[TEXT_BYTES];
    static char after[TEXT_BYTES];
    cr_assert(authority("lab", 30), "%s", why);
    cr_assert(site("a", 7), "%s", why);
    uint64_t id = transport_site_of(path("a.pem"), why, sizeof why);
    slurp("a.pem", before);
    cr_assert(pki_renew(dir, "lab", "a", PKI_SITE, 7, why, sizeof why), "%s",
              why);
    slurp("a.pem", after);
    cr_assert_str_neq(before, after);
    cr_assert_eq(transport_site_of(path("a.pem"), why, sizeof why), id);
    /* A key whose certificate was never written is used. */
    cr_assert_eq(unlink(path("a.pem")), 0);
    cr_assert(site("a", 7), "%s", why);
    cr_assert_eq(transport_site_of(path("a.pem"), why, sizeof why), id);
}

Test(pki, no_certificate_outlives_its_authority)
{
    int days;
    int seconds;
    cr_assert(authority("lab", 3), "%s", why);
    cr_assert(site("a", 30), "%s", why);
    X509 *cert = cert_of("a.pem");
    X509 *ca = cert_of("ca.pem");
    cr_assert(ASN1_TIME_diff(&days, &seconds, X509_get0_notAfter(cert),
                             X509_get0_notAfter(ca)));
    cr_assert_eq(days, 0);
    cr_assert(seconds >= 0 && seconds < 5, "%d", seconds);
    X509_free(ca);
    X509_free(cert);
}

static void expire(const char *name, const struct x509_wish *wish)
{
    char file[64];
    (void)snprintf(file, sizeof file, "%s.key", name);
    FILE *f = fopen(path(file), "r");
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    f = fopen(path("ca.key"), "r");
    EVP_PKEY *ca_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    X509 *ca = wish->authority ? NULL : cert_of("ca.pem");
    char san[128];
    struct x509_wish w = *wish;
    (void)snprintf(san, sizeof san, "URI:motet://lab/site/%016llx",
                   (unsigned long long)x509_key_id(key));
    w.san = wish->authority ? NULL : san;
    X509 *cert = x509_make(&w, key, ca, ca_key);
    cr_assert_not_null(cert);
    (void)snprintf(file, sizeof file, "%s.pem", name);
    f = fopen(path(file), "w");
    PEM_write_X509(f, cert);
    fclose(f);
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

Test(pki, expired_ones_are_signed_again)
{
    cr_assert(authority("lab", 30), "%s", why);
    cr_assert(site("a", 7), "%s", why);
    uint64_t id = transport_site_of(path("a.pem"), why, sizeof why);
    struct x509_wish wish = {
        .cn = "a", .org = "lab", .from_s = -99, .to_s = -9};
    expire("a", &wish);
    cr_assert(site("a", 7), "%s", why);
    X509 *cert = cert_of("a.pem");
    cr_assert_gt(X509_cmp_current_time(X509_get0_notAfter(cert)), 0);
    X509_free(cert);
    cr_assert_eq(transport_site_of(path("a.pem"), why, sizeof why), id);

    wish.authority = true;
    wish.cn = "lab authority";
    expire("ca", &wish);
    expect_why(site("b", 7), "has expired");
    cr_assert(authority("lab", 30), "%s", why);
    cr_assert(site("b", 7), "%s", why);
    cr_assert(site("a", 7), "%s", why);
}
