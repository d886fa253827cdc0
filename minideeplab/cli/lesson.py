"""``minideeplab lesson``: list the lessons, build them, grade answers, prove that they judge."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
@click.option(
    "--lessons",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of lessons; ./lessons or the checkout's by default.",
)
@click.pass_context
def command(ctx: click.Context, lessons: Path | None) -> None:
    """Work with the course: hand out lessons, grade answers.

    \b
    Examples:
      minideeplab lesson list
      minideeplab lesson build 02 --for student --out my-course
      minideeplab lesson grade my-course
    """
    ctx.obj = lessons


@command.command("list")
@click.pass_obj
def list_lessons(folder: Path | None) -> None:
    """Print the lessons: minutes, tasks, points, what each needs.

    \b
    Example:
      minideeplab lesson list
    """
    from minideeplab.grading.catalogue import find_folder, lesson_folders, load_lesson

    for path in lesson_folders(find_folder(folder)):
        lesson = load_lesson(path)
        needs = ", ".join(lesson.about.needs) or "-"
        click.echo(
            f"{lesson.number}  {lesson.about.title:48}  {lesson.about.minutes:4} min  "
            f"{len(lesson.tasks)} tasks  {lesson.points:3} points  needs {needs}"
        )


@command.command("prove")
@click.argument("names", nargs=-1)
@click.pass_context
def prove_lessons(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Check for authors that lessons judge as they say; all of them if none is named.

    \b
    Example:
      minideeplab lesson prove 02
    """
    from minideeplab.grading.catalogue import find_folder, find_lesson, lesson_folders
    from minideeplab.grading.proof import prove

    every = [path.name for path in lesson_folders(find_folder(ctx.obj))]
    failed = False
    for name in names or every:
        lesson = find_lesson(name, ctx.obj)
        faults = prove(lesson)
        failed |= bool(faults)
        click.echo(
            f"{lesson.name}: {len(lesson.tasks)} tasks, {lesson.points} points, "
            f"{len(lesson.wrong)} wrong answers: {'' if faults else 'all proofs hold'}"
        )
        for fault in faults:
            click.echo(f"  {fault}")
    ctx.exit(1 if failed else 0)
