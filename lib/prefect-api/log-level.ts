/** Log levels of Prefect. */
export enum LogLevel {
  /** Details, for debugging. */
  DEBUG = 'DEBUG',
  /** Normal events. The default of Prefect. */
  INFO = 'INFO',
  /** Possible problems. */
  WARNING = 'WARNING',
  /** Errors. */
  ERROR = 'ERROR',
  /** Errors after which the program cannot continue. */
  CRITICAL = 'CRITICAL',
}
