/** An archive that is refused: the message says which rule of the format it breaks. */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";

  /**
   * The byte of the file at which reading stopped, or `undefined` where the reason lies in the
   * contents of its skeleton.
   */
  readonly offset: number | undefined;

  constructor(message: string, offset?: number) {
    super(offset === undefined ? message : `${message} (at byte ${offset})`);
    this.offset = offset;
  }
}
