// What a container may ask of the kernel, asked from inside. Linked statically, put into an image by the case.
//   probe calls      each system call with useless arguments: "NUMBER RESULT", errno or 0; 200 and more: ended by signal RESULT-200
//   probe writable   each file of /proc and /sys that opens for writing
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void calls(void)
{
	for (long number = 0; number < 480; number++) {
		// These end or leave the caller whatever they are given.
		if (number == SYS_exit || number == SYS_exit_group || number == SYS_rt_sigreturn)
			continue;
		pid_t child = fork();
		if (child == 0) {
			alarm(1);
			errno = 0;
			long answer = syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
			syscall(SYS_exit_group, answer == -1 ? errno : 0);
		}
		int status = 0;
		waitpid(child, &status, 0);
		printf("%ld %d\n", number, WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status));
		fflush(stdout);
	}
}

static void writable(const char *folder)
{
	DIR *dir = opendir(folder);
	if (!dir)
		return;
	struct dirent *entry;
	while ((entry = readdir(dir))) {
		char path[4096];
		struct stat found;
		const char *name = entry->d_name;
		if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "task") || !strcmp(name, "fd") || !strcmp(name, "map_files"))
			continue;
		// Of all processes this one.
		if (!strcmp(folder, "/proc") && atoi(name) > 0 && atoi(name) != getpid())
			continue;
		if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path || lstat(path, &found))
			continue;
		if (S_ISDIR(found.st_mode)) {
			writable(path);
		} else if (S_ISREG(found.st_mode) && (found.st_mode & 0222)) {
			// Root opens what nobody may write to as well, but the kernel has nothing there that takes a write.
			int file = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
			if (file >= 0) {
				puts(path);
				close(file);
			}
		}
	}
	closedir(dir);
}

// rights: who this is, whether it can become root, and its capabilities.
static void rights(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");
	printf("%d %d", geteuid(), getegid());
	while (status && fgets(line, sizeof line, status))
		if (!strncmp(line, "CapEff:", 7))
			printf(" %.16s", line + 8);
	printf(" %s\n", geteuid() && !setuid(0) ? "became root" : "stays");
}

int main(int count, char **words)
{
	if (count == 2 && !strcmp(words[1], "calls")) {
		calls();
	} else if (count == 2 && !strcmp(words[1], "writable")) {
		writable("/proc");
		writable("/sys");
	} else if (count == 2 && !strcmp(words[1], "rights")) {
		rights();
	} else {
		return 64;
	}
	return 0;
}
