//! `image`.

use super::args::ImageCommand;
use super::connect::{Places, connect};
use super::exit::{Code, Failure, Outcome};
use super::output::{data, note, print};
use super::view::unreadable;
use jiff::Timestamp;
use pod_api::backend::ImageRecord;
use pod_print::image::{ImageRow, image_table};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// A piece of an archive on its way to the daemon.
type Piece = io::Result<Bytes>;
type Bytes = pod_api::client::Bytes;
/// Bytes of one piece.
const PIECE: usize = 256 * 1024;

/// Imports, lists or removes images.
pub async fn image(command: &ImageCommand, places: &Places) -> Outcome<u8> {
    match command {
        ImageCommand::Import { path, name, quiet } => {
            import(path, name.as_deref(), *quiet, places).await
        }
        ImageCommand::Ls {
            output,
            quiet,
            no_trunc,
        } => {
            let client = connect(places).await?;
            let images = client.images().await?;
            if let Some(format) = output {
                let value =
                    json!({"apiVersion": "podwright.io/v1", "kind": "ImageList", "items": images});
                print(&data(&value, *format)?)?;
            } else if *quiet {
                for image in &images {
                    print(&format!("{}\n", image.id))?;
                }
            } else {
                let rows = rows(&images);
                print(&image_table(&rows, *no_trunc, Timestamp::now()).render(true))?;
            }
            Ok(0)
        }
        ImageCommand::Rm { names, force } => {
            let client = connect(places).await?;
            let mut worst = 0;
            for name in names {
                match client.remove_image(name, *force).await {
                    Ok(done) => print(&(done.join("\n") + "\n"))?,
                    Err(error) => {
                        let failure = Failure::from(error);
                        note(&failure.message);
                        worst = failure.code as u8;
                    }
                }
            }
            Ok(worst)
        }
    }
}

fn rows(images: &[ImageRecord]) -> Vec<ImageRow> {
    let mut rows = Vec::new();
    for image in images {
        let row = |name: &str| ImageRow {
            name: name.to_owned(),
            id: image.id.clone(),
            size: image.size,
            created: image.created,
            pinned: image.pinned,
        };
        if image.names.is_empty() {
            rows.push(row(""));
        }
        rows.extend(image.names.iter().map(|name| row(name)));
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

/// Where an archive comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Stdin,
    File(PathBuf),
    Folder(PathBuf),
}

/// `PATH`, `PATH:TAG` or `-`. A path that exists as it stands has no tag.
fn origin(text: &str) -> Outcome<(Origin, Option<String>)> {
    if text == "-" {
        return Ok((Origin::Stdin, None));
    }
    if let Some(found) = at(Path::new(text)) {
        return Ok((found, None));
    }
    if let Some((path, tag)) = text.rsplit_once(':')
        && !tag.is_empty()
        && !tag.contains('/')
    {
        if path == "-" {
            return Ok((Origin::Stdin, Some(tag.to_owned())));
        }
        if let Some(found) = at(Path::new(path)) {
            return Ok((found, Some(tag.to_owned())));
        }
    }
    Err(Failure::new(
        Code::NoInput,
        format!(
            "error: {text}: no such file or folder. `image import` takes an OCI layout (folder or tar), a docker-archive, or - for standard input; it fetches nothing"
        ),
    ))
}

fn at(path: &Path) -> Option<Origin> {
    if path.is_dir() {
        Some(Origin::Folder(path.to_owned()))
    } else if path.exists() {
        Some(Origin::File(path.to_owned()))
    } else {
        None
    }
}

async fn import(text: &str, name: Option<&str>, quiet: bool, places: &Places) -> Outcome<u8> {
    let (origin, tag) = origin(text)?;
    let client = connect(places).await?;
    let (to, pieces) = mpsc::channel(4);
    let reader = tokio::task::spawn_blocking(move || send(&origin, &to));
    let steps = client.import_image(name, tag.as_deref(), pieces).await?;
    let result = steps
        .run(|step| {
            if !quiet {
                note(step);
            }
        })
        .await;
    // A file that cannot be read explains a broken import better than the daemon can.
    let read = reader.await.unwrap_or(Ok(()));
    if let (Err(error), Err(_)) = (&read, &result)
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(Failure::new(
            Code::Io,
            format!("error: read {text}: {error}"),
        ));
    }
    let images: Vec<ImageRecord> = serde_json::from_value(result?).map_err(|e| unreadable(&e))?;
    for image in &images {
        if quiet {
            print(&format!("{}\n", image.id))?;
        } else {
            for name in &image.names {
                print(&format!("{name}\n"))?;
            }
        }
    }
    Ok(0)
}

/// Reads the archive piece by piece; a folder is packed on the way.
fn send(origin: &Origin, to: &mpsc::Sender<Piece>) -> io::Result<()> {
    let result = match origin {
        Origin::Stdin => copy(io::stdin().lock(), to),
        Origin::File(path) => File::open(path).and_then(|file| copy(file, to)),
        Origin::Folder(path) => pack(path, to),
    };
    if let Err(error) = &result {
        let told = io::Error::new(error.kind(), error.to_string());
        // Fails only when the import is over already.
        let _ = to.blocking_send(Err(told));
    }
    result
}

fn copy(mut from: impl Read, to: &mpsc::Sender<Piece>) -> io::Result<()> {
    let mut out = PieceWriter { to };
    let mut space = vec![0; PIECE];
    loop {
        let n = from.read(&mut space)?;
        if n == 0 {
            return Ok(());
        }
        out.write_all(space.get(..n).unwrap_or_default())?;
    }
}

fn pack(folder: &Path, to: &mpsc::Sender<Piece>) -> io::Result<()> {
    let writer = io::BufWriter::with_capacity(PIECE, PieceWriter { to });
    let mut archive = tar::Builder::new(writer);
    archive.follow_symlinks(false);
    archive.append_dir_all("", folder)?;
    archive.into_inner()?.flush()
}

struct PieceWriter<'a> {
    to: &'a mpsc::Sender<Piece>,
}

impl Write for PieceWriter<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let piece = Ok(Bytes::copy_from_slice(data));
        match self.to.blocking_send(piece) {
            Ok(()) => Ok(data.len()),
            // The daemon has what it needs, or has refused.
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_behind_a_path_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layout:odd");
        std::fs::create_dir(&path).unwrap();
        let text = path.to_str().unwrap();
        assert_eq!(origin(text).unwrap(), (Origin::Folder(path.clone()), None));
        let tagged = origin(&format!("{text}:v1")).unwrap();
        assert_eq!(tagged, (Origin::Folder(path), Some("v1".to_owned())));
        assert_eq!(origin("-").unwrap(), (Origin::Stdin, None));
        assert!(origin("/no/such:tag").is_err());
    }
}
