// Stands between one process and the disk (LD_PRELOAD). What it does stands in the file DISK_CONTROL, which is read
// again at each operation; it concerns files below the directory DISK_DIRECTORY:
//
//   ok        nothing
//   full      writes, new files and longer ones find no room, except in engine/
//   slow MS   syncs take so much longer
//   hang      syncs wait until something else stands there
//   eio       syncs fail
//
// The engine never meets a full disk: lockstep keeps a reserve for it, which statvfs tells. That call and fallocate
// bypass the C library and so this file.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum what { OK, FULL, SLOW, HANG, FAIL };

static enum what control(int *ms) {
    const char *path = getenv("DISK_CONTROL");
    char text[32] = {0};
    if (!path) return OK;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return OK;
    if (syscall(SYS_read, fd, text, sizeof text - 1) < 0) text[0] = 0;
    syscall(SYS_close, fd);
    if (!strncmp(text, "full", 4)) return FULL;
    if (sscanf(text, "slow %d", ms) == 1) return SLOW;
    if (!strncmp(text, "hang", 4)) return HANG;
    if (!strncmp(text, "eio", 3)) return FAIL;
    return OK;
}

// Is it below the directory, and below engine/ there only if that counts?
static int concerns_path(const char *path, int engine_counts) {
    const char *directory = getenv("DISK_DIRECTORY");
    size_t length = directory ? strlen(directory) : 0;
    if (!length || strncmp(path, directory, length) || path[length] != '/') return 0;
    return engine_counts || strncmp(path + length, "/engine/", 8);
}

static int concerns(int fd, int engine_counts) {
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return concerns_path(path, engine_counts);
}

static int sync_with(int fd, int (*real)(int)) {
    int ms = 0;
    enum what what = control(&ms);
    if (what == OK || !concerns(fd, 1)) return real(fd);
    if (what == SLOW) usleep(ms * 1000);
    while (what == HANG) {
        usleep(5000);
        what = control(&ms);
    }
    if (what == FAIL) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int fdatasync(int fd) { return sync_with(fd, REAL(fdatasync)); }
int fsync(int fd) { return sync_with(fd, REAL(fsync)); }

// Does a write find no room?
static int is_refused(int fd) {
    int ms;
    if (control(&ms) != FULL || !concerns(fd, 0)) return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t write(int fd, const void *from, size_t bytes) {
    return is_refused(fd) ? -1 : REAL(write)(fd, from, bytes);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) {
    return is_refused(fd) ? -1 : REAL(pwrite64)(fd, from, bytes, at);
}

int ftruncate64(int fd, off64_t length) {
    struct stat file;
    if (!fstat(fd, &file) && length > file.st_size && is_refused(fd)) return -1;
    return REAL(ftruncate64)(fd, length);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    int ms;
    char whole[PATH_MAX];
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if ((flags & O_CREAT) && control(&ms) == FULL && access(path, F_OK)) {
        const char *end = path;
        if (path[0] != '/' && getcwd(whole, sizeof whole)) {
            size_t length = strlen(whole);
            snprintf(whole + length, sizeof whole - length, "/%s", path);
            end = whole;
        }
        if (concerns_path(end, 0)) {
            errno = ENOSPC;
            return -1;
        }
    }
    return REAL(open64)(path, flags, mode);
}
