/* f32 operations per second of the OpenBLAS given as argument: the best of eleven products of two 1024 x 1024 matrices. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef void Sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                   const float *b, int ldb, float beta, float *c, int ldc);
enum { ROW_MAJOR = 101, NO_TRANS = 111, N = 1024 };

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

int main(int argc, char **argv) {
  void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : 0;
  Sgemm *sgemm = library ? (Sgemm *)dlsym(library, "cblas_sgemm") : 0;
  if (!sgemm) return 1;
  float *a = malloc(N * N * 4), *b = malloc(N * N * 4), *c = calloc(N * N, 4);
  for (int i = 0; i < N * N; i++) a[i] = b[i] = (float)(i % 1000) / 1000 - 0.5f;
  double best = 1e9;
  for (int i = 0; i < 11; i++) {
    double start = seconds();
    sgemm(ROW_MAJOR, NO_TRANS, NO_TRANS, N, N, N, 1, a, N, b, N, 0, c, N);
    double took = seconds() - start;
    if (took < best) best = took;
  }
  printf("%.0f\n", 2.0 * N * N * N / best);
  return 0;
}
