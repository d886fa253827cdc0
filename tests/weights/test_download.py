"""Downloads from a local server that cuts connections, lies, fails and sends other files."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minideeplab.weights import KNOWN, download, fetch

CONTENT = bytes(range(256)) * 2000  # half a megabyte
CHECKSUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.content``; cuts each answer after ``server.cut`` bytes."""

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if server.errors:
            self.send_error(server.errors.pop(0))
            return
        begin = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and server.can_resume:
            begin = int(asked[1])
            if begin >= len(server.content):
                self.send_error(416)
                return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(server.content) - begin))
        self.end_headers()
        self.wfile.write(server.content[begin : begin + server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.cut, server.can_resume = CONTENT, len(CONTENT), True
    server.errors, server.ranges = [], []
    server.url = f"http://127.0.0.1:{server.server_port}/net.pth"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def get(server, folder, checksum=CHECKSUM):
    return download.download(server.url, checksum, folder, progress=False)


def test_a_file_is_fetched_once(server, tmp_path):
    path = get(server, tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT and path.name == "net.pth"
    assert get(server, path.parent) == path
    assert server.ranges == [None]
    assert list(path.parent.iterdir()) == [path]


def test_a_cut_connection_is_taken_up_where_it_stopped(server, tmp_path):
    server.cut = 200_000
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=200000-", "bytes=400000-"]


def test_the_next_call_goes_on_too(server, tmp_path):
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:123_456])
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=123456-"]


def test_a_server_that_cannot_resume(server, tmp_path):
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:1000])
    server.can_resume = False
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]  # what came the first time was whole


def test_a_part_that_is_complete_already(server, tmp_path):
    (tmp_path / "net.pth.part").write_bytes(CONTENT)
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_part_of_another_file_is_started_afresh(server, tmp_path):
    (tmp_path / "net.pth.part").write_bytes(b"something else")
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=14-", None]


def test_a_damaged_file_is_fetched_again(server, tmp_path):
    (tmp_path / "net.pth").write_bytes(CONTENT[:-1])
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    server.content = b"<html>please log in</html>"
    with pytest.raises(ValueError, match=r"26 bytes received do not have the checksum sha256:"):
        get(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_checksums(server, tmp_path, algorithm):
    digest = hashlib.new(algorithm, CONTENT).hexdigest()
    assert get(server, tmp_path, f"{algorithm}:{digest}").exists()


def test_passing_server_errors_are_waited_out(server, tmp_path):
    server.errors = [503, 500]
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_missing_file_is_an_error_at_once(server, tmp_path):
    server.errors = [404]
    with pytest.raises(OSError, match="404"):
        get(server, tmp_path)
    assert len(server.ranges) == 1


def test_no_connection_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    with pytest.raises(OSError, match="5 attempts"):
        download.download("http://127.0.0.1:9/net.pth", CHECKSUM, tmp_path, progress=False)


def test_a_line_that_stays_dead_keeps_what_came(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:1000])
    server.cut = 0
    with pytest.raises(OSError, match="connection was cut"):
        get(server, tmp_path)
    assert (tmp_path / "net.pth.part").read_bytes() == CONTENT[:1000]


def test_fetch_by_name(server, tmp_path, monkeypatch):
    monkeypatch.setitem(KNOWN, "test", download.Source(server.url, CHECKSUM, "a test"))
    monkeypatch.setenv("MINIDEEPLAB_CACHE", str(tmp_path))
    assert fetch("test", progress=False) == tmp_path / "net.pth"
    with pytest.raises(ValueError, match="'vgg17', expected one of vgg16-caffe"):
        fetch("vgg17")


def test_progress_is_shown_on_stderr(server, tmp_path, capsys):
    download.download(server.url, CHECKSUM, tmp_path)
    captured = capsys.readouterr()
    assert "net.pth" in captured.err and captured.out == ""


@pytest.mark.parametrize("name", KNOWN)
def test_known_checksums_are_well_formed(name):
    algorithm, digest = KNOWN[name].checksum.split(":")
    assert len(digest) == hashlib.new(algorithm).digest_size * 2
    in_the_name = re.search(r"-([0-9a-f]{8})\.pth$", KNOWN[name].url)
    if in_the_name:  # torchvision's rule
        assert algorithm == "sha256" and digest.startswith(in_the_name[1])


@pytest.mark.parametrize("name", KNOWN)
def test_the_readme_lists_every_known_file(name):
    package = Path(__file__).parents[2] / "minideeplab"
    readme = (package / "weights/README.md").read_text(encoding="utf-8")
    assert name in readme and KNOWN[name].url in readme
    assert KNOWN[name].checksum.split(":")[1] in readme


def test_two_downloads_at_once_give_one_file(server, tmp_path):
    pytest.importorskip("fcntl")
    server.cut = 100_000
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: get(server, tmp_path), range(4)))
    assert set(paths) == {tmp_path / "net.pth"} and paths[0].read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [paths[0]]
    assert len(server.ranges) == -(-len(CONTENT) // server.cut)  # one of the four


@pytest.mark.parametrize("says_its_length", [True, False])
def test_an_answer_without_end_is_stopped(server, tmp_path, monkeypatch, says_its_length):
    monkeypatch.setattr(download, "MOST", 300_000)
    if not says_its_length:
        header = Handler.send_header
        monkeypatch.setattr(
            Handler,
            "send_header",
            lambda s, name, value: None if name == "Content-Length" else header(s, name, value),
        )
    with pytest.raises(ValueError, match="300,000"):
        get(server, tmp_path)
    assert not list(tmp_path.iterdir())
