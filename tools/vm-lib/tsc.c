// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Prints the frequency of this machine's time stamp counter in kHz. The guest
 * reads the same counter, but has nothing dependable to measure it against
 * while it boots: emulated, its interval timer is late by whatever the host is
 * busy with.
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static double microseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	double start = microseconds();
	unsigned long long first = __rdtsc();

	nanosleep(&pause, NULL);

	unsigned long long last = __rdtsc();
	double end = microseconds();

	printf("%.0f\n", (last - first) * 1e3 / (end - start));
	return 0;
}
