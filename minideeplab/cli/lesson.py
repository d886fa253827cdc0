"""``minideeplab lesson``: list, build and validate lessons, and grade answers."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
@click.option("--lessons", type=click.Path(file_okay=False, path_type=Path),
              help="Folder of lessons; ./lessons or the checkout's by default.")  # fmt: skip
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
@click.option("--markdown", is_flag=True, help="Print the table for lessons/README.md.")
@click.pass_obj
def list_lessons(folder: Path | None, markdown: bool) -> None:
    """Print the lessons: minutes, tasks, points, what each needs.

    \b
    Example:
      minideeplab lesson list
    """
    from minideeplab.grading.build import course_table
    from minideeplab.grading.catalogue import load_lessons

    lessons = load_lessons(folder=folder)
    if markdown:
        click.echo(course_table(lessons))
        return
    for lesson in lessons:
        needs = ", ".join(lesson.about.needs) or "-"
        click.echo(
            f"{lesson.number}  {lesson.about.title:48}  {lesson.about.minutes:4} min  "
            f"{len(lesson.tasks)} tasks  {lesson.points:3} points  needs {needs}"
        )


@command.command("prove")
@click.argument("names", nargs=-1)
@click.pass_context
def validate_lessons(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Validate for authors that lessons judge as they declare; all of them if none is named.

    \b
    Example:
      minideeplab lesson prove 02
    """
    from minideeplab.grading.catalogue import load_lessons
    from minideeplab.grading.validation import validate

    failed = False
    for lesson in load_lessons(names, ctx.obj):
        faults = validate(lesson)
        failed |= bool(faults)
        click.echo(
            f"{lesson.name}: {'not ' if faults else ''}valid, {len(lesson.tasks)} tasks, "
            f"{lesson.points} points, {len(lesson.wrong)} wrong answers"
        )
        for fault in faults:
            click.echo(f"  {fault}")
    ctx.exit(1 if failed else 0)


@command.command("build")
@click.argument("names", nargs=-1, required=True)
@click.option("--for", "reader", type=click.Choice(["student", "self-study", "instructor"]),
              default="student",
              help="With holes; with holes and a separate solution; solved.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              help="Folder; with several lessons each gets a folder of its own in it.")  # fmt: skip
@click.pass_obj
def build_lessons(folder: Path | None, names: tuple[str, ...], reader: str, out: Path) -> None:
    """Write lessons, by number or name or all, for a student, self-study or an instructor.

    \b
    Examples:
      minideeplab lesson build 02 --for student --out lesson-02
      minideeplab lesson build all --for self-study --out my-course
    """
    from minideeplab.grading.build import build
    from minideeplab.grading.catalogue import load_lessons

    lessons = load_lessons(() if names == ("all",) else names, folder)
    for lesson in lessons:
        target = out if len(lessons) == 1 else out / lesson.name
        built = build(lesson, reader, target)
        for name in built.written:
            click.echo(target / name)
        for name in built.kept:
            click.echo(f"{target / name}: edited since, left as it is", err=True)


@command.command("autograder")
@click.argument("name")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The zip to write.")  # fmt: skip
@click.option("--seed", default="", help="Draw private hidden cases from this text.")
@click.pass_obj
def write_autograder(folder: Path | None, name: str, out: Path, seed: str) -> None:
    """Write Gradescope's autograder for one lesson, a zip with all that it needs.

    \b
    Example:
      minideeplab lesson autograder 05 --out autograder.zip
    """
    from minideeplab.grading.autograder import write_autograder
    from minideeplab.grading.catalogue import find_lesson

    click.echo(write_autograder(find_lesson(name, folder), out, seed))


@command.command("grade")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--lesson", "default", help="Lesson of files that do not name theirs.")
@click.option("--only", help="The lesson to grade; files of other lessons get no points.")
@click.option("--single", is_flag=True, help="Everything in the folder is one student's.")
@click.option(
    "--seed", default="", help="Draw private hidden cases from this text; keep it secret."
)
@click.option("--each", is_flag=True, help="With --seed: other private cases for each student.")
@click.option("--jobs", type=click.IntRange(1), help="Processes at a time; one a core by default.")
@click.option("--seconds", type=click.FloatRange(0.5), help="Processor time of a task.")
@click.option("--memory", type=click.IntRange(256), default=2048, help="MiB of a task.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="For the reports.")
@click.pass_obj
def grade_submissions(
    folder: Path | None, path: Path, default: str | None, only: str | None, single: bool,
    seed: str, each: bool, jobs: int | None, seconds: float | None, memory: int, out: Path | None,
) -> int:  # fmt: skip
    """Judge one submission, or a folder with one file or folder for each student.

    Prints verdicts and hints; writes score.json and results.json (Gradescope) into the folder, for
    a class grades/grades.csv, class.md and class.png (pass rates, commonest mistakes), answers.md
    (written answers) and one folder for each student. Each task runs in a process of its
    own with limits of time and memory; for code that you do not trust use a container as well.

    \b
    Examples:
      minideeplab lesson grade lesson-02
      minideeplab lesson grade class/ --only 02 --jobs 2
    """
    import os

    from tqdm import tqdm

    from minideeplab.grading.grade import Limits, grade
    from minideeplab.grading.process import sandbox_layers
    from minideeplab.grading.report import class_table, table, write_reports

    layers = ", ".join(["Python's audit hooks", *sandbox_layers()])
    advice = "" if "seccomp" in layers else "; use a container for code that you do not trust"
    click.echo(f"sandbox: {layers}{advice}", err=True)
    with tqdm(unit=" submissions", leave=False, disable=None) as bar:
        grades = grade(
            path, folder, default or "", jobs or os.cpu_count() or 1, Limits(memory, seconds),
            progress=lambda _: bar.update(), only=only or "", single=single,
            seed=seed, each=each,
        )  # fmt: skip
    if len(grades) == 1:
        click.echo(table(grades[0]))
    else:
        click.echo(class_table(grades))
    for report in write_reports(grades, path, out, single)[:4]:
        click.echo(f"written: {report}", err=True)
    return 0 if any(grade.results for grade in grades) else 1


@command.command("run")
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--image", "photograph", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Photograph to segment; a street by default.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              help="Folder for the images.")  # fmt: skip
@click.option("--size", type=click.IntRange(33, 481), default=161, show_default=True,
              help="Pixels of the longer side that the network gets.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(1), default=60, show_default=True,
              help="For each lesson's calls; what would take longer runs on our code.")  # fmt: skip
@click.pass_obj
def run_student_code(
    lessons: Path | None, folders: tuple[Path, ...], photograph: Path | None, out: Path,
    size: int, seconds: float,
) -> None:  # fmt: skip
    """Segment a photograph with a student's functions, from one folder for each lesson.

    The bundled network and its CRF run on the functions of lessons 01, 02, 03, 05, 06, 09 and 10
    that are judged right, in the sandbox, and on ours for the rest. Prints which operation ran on
    whose code, and draws both results side by side.

    \b
    Example:
      minideeplab lesson run my-lesson-01 my-lesson-02 --image photo.jpg --out results
    """
    from minideeplab.grading.run import report

    for line in report(folders, photograph, out, lessons, size, seconds):
        click.echo(line)
