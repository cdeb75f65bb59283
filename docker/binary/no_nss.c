/* In the C library's place: functions that would ask NSS, and load its modules with dlopen, which a
 * static executable cannot rely on. CPython links them; initpy does without: it reads /etc/passwd
 * and /etc/group itself, and its sockets have paths or numbers. */

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <stddef.h>

int getgrouplist(const char *user, gid_t group, gid_t *groups, int *count)
{
    (void)user, (void)group, (void)groups, (void)count;
    errno = ENOSYS;
    return -1;
}

int initgroups(const char *user, gid_t group)
{
    (void)user, (void)group;
    errno = ENOSYS;
    return -1;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    (void)node, (void)service, (void)hints, (void)found;
    return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *found)
{
    (void)found;
}

int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
                char *service, socklen_t service_size, int flags)
{
    (void)address, (void)length, (void)host, (void)host_size;
    (void)service, (void)service_size, (void)flags;
    return EAI_FAIL;
}

static int no_host(struct hostent **result, int *error)
{
    *result = NULL;
    *error = NO_RECOVERY;
    return ENOSYS;
}

int gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size,
                    struct hostent **result, int *error)
{
    (void)name, (void)entry, (void)buffer, (void)size;
    return no_host(result, error);
}

int gethostbyaddr_r(const void *address, socklen_t length, int type, struct hostent *entry,
                    char *buffer, size_t size, struct hostent **result, int *error)
{
    (void)address, (void)length, (void)type, (void)entry, (void)buffer, (void)size;
    return no_host(result, error);
}

struct servent *getservbyname(const char *name, const char *protocol)
{
    (void)name, (void)protocol;
    return NULL;
}

struct servent *getservbyport(int port, const char *protocol)
{
    (void)port, (void)protocol;
    return NULL;
}

struct protoent *getprotobyname(const char *name)
{
    (void)name;
    return NULL;
}
