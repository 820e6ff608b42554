/* Preloaded by tests/whole/test_full_disk.py: lets one call that changes the disk fail, or all from it
 * on. FAULT_WHO is how the program's name begins, FAULT_AT the number of the call, FAULT_ERRNO the
 * error, FAULT_LASTS whether later calls fail as well; FAULT_COUNT a file of eight bytes in which
 * all the processes count together. With FAULT_PATH only calls count whose path has that in it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static long *count;
static long at;
static int error, lasts;
static const char *part;

__attribute__((constructor)) static void begin(void)
{
	const char *who = getenv("FAULT_WHO"), *file = getenv("FAULT_COUNT");
	if (!who || !file || strncmp(program_invocation_short_name, who, strlen(who)))
		return;
	at = atol(getenv("FAULT_AT"));
	error = atoi(getenv("FAULT_ERRNO"));
	lasts = atoi(getenv("FAULT_LASTS"));
	part = getenv("FAULT_PATH");
	int fd = open(file, O_RDWR);
	void *map = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		count = map;
}

static int fails(const char *path)
{
	if (!count || (part && (!path || !strstr(path, part))))
		return 0;
	long now = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
	if (now != at && !(lasts && now > at))
		return 0;
	errno = error;
	return 1;
}

static int regular(int fd)
{
	struct stat st;
	return count && !fstat(fd, &st) && S_ISREG(st.st_mode);
}

#define NEXT(name) \
	static __typeof__(&name) next; \
	if (!next) \
		next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size)
{
	NEXT(write);
	return regular(fd) && fails(NULL) ? -1 : next(fd, data, size);
}

int fsync(int fd)
{
	NEXT(fsync);
	return fails(NULL) ? -1 : next(fd);
}

int rename(const char *from, const char *to)
{
	NEXT(rename);
	return fails(to) ? -1 : next(from, to);
}

int renameat(int a, const char *from, int b, const char *to)
{
	NEXT(renameat);
	return fails(to) ? -1 : next(a, from, b, to);
}

int link(const char *from, const char *to)
{
	NEXT(link);
	return fails(to) ? -1 : next(from, to);
}

int mkdir(const char *path, mode_t mode)
{
	NEXT(mkdir);
	return fails(path) ? -1 : next(path, mode);
}

/* What os.link uses where it is told not to follow links. */
int linkat(int a, const char *from, int b, const char *to, int flags)
{
	NEXT(linkat);
	return fails(to) ? -1 : next(a, from, b, to, flags);
}

int symlink(const char *target, const char *path)
{
	NEXT(symlink);
	return fails(path) ? -1 : next(target, path);
}

int ftruncate(int fd, off_t size)
{
	NEXT(ftruncate);
	return fails(NULL) ? -1 : next(fd, size);
}

int utimensat(int fd, const char *path, const struct timespec times[2], int flags)
{
	NEXT(utimensat);
	return fails(path) ? -1 : next(fd, path, times, flags);
}

/* A full disk lets files be removed, a broken one does not. */
int unlink(const char *path)
{
	NEXT(unlink);
	return error == EIO && fails(path) ? -1 : next(path);
}

int unlinkat(int fd, const char *path, int flags)
{
	NEXT(unlinkat);
	return error == EIO && fails(path) ? -1 : next(fd, path, flags);
}

int rmdir(const char *path)
{
	NEXT(rmdir);
	return error == EIO && fails(path) ? -1 : next(path);
}

/* Whether an open is for writing to a file: a device or a terminal has nothing to do with the disk. */
static int writes(int fd, const char *path, int flags)
{
	struct stat st;
	if (!count)
		return 0;
	if (flags & O_CREAT)
		return 1;
	return (flags & O_ACCMODE) != O_RDONLY && !fstatat(fd, path, &st, 0) && S_ISREG(st.st_mode);
}

#define MODE \
	mode_t mode = 0; \
	if (flags & (O_CREAT | O_TMPFILE)) { \
		va_list more; \
		va_start(more, flags); \
		mode = va_arg(more, mode_t); \
		va_end(more); \
	}

#define OPEN(name) \
	int name(const char *path, int flags, ...) \
	{ \
		NEXT(name); \
		MODE \
		return writes(AT_FDCWD, path, flags) && fails(path) ? -1 : next(path, flags, mode); \
	}

#define OPENAT(name) \
	int name(int fd, const char *path, int flags, ...) \
	{ \
		NEXT(name); \
		MODE \
		return writes(fd, path, flags) && fails(path) ? -1 : next(fd, path, flags, mode); \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
